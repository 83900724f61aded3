using System.Globalization;
using CompareMethods;
using Microsoft.ML.Sorsa.Evaluation;

namespace ReproducePaper.Report;

/// <summary>A row of Table 1, with what was forgotten beside it: means over the seeds.</summary>
internal sealed record TableRow
{
    public required StudyMethod Method { get; init; }

    public required long TrainableParameters { get; init; }

    public required double? LearningRate { get; init; }

    public required IReadOnlyList<TestCell> Tests { get; init; }

    /// <summary>On general text, in nats per token.</summary>
    public required double? TextLoss { get; init; }

    /// <summary>What that has risen by.</summary>
    public required double? Forgetting { get; init; }

    /// <summary>Half of its 95 % interval over the seeds.</summary>
    public required double? ForgettingInterval { get; init; }

    public required double? Choices { get; init; }

    public required double? Intruders { get; init; }

    public required double? SecondsPerStep { get; init; }

    /// <summary>In bytes.</summary>
    public required double PeakMemory { get; init; }

    /// <summary>Runs that did, and answered nothing.</summary>
    public required int Diverged { get; init; }

    /// <summary>The model before, then the methods.</summary>
    public static IReadOnlyList<TableRow> Of(StudyResults results) =>
    [
        Of(results, StudyMethod.Base, [results.Before]),
        .. results.Methods.Select(method => Of(results, method, results.Of(method.Key))),
    ];

    private static TableRow Of(StudyResults results, StudyMethod method, IReadOnlyList<RunResult> runs)
    {
        bool isBase = method == StudyMethod.Base;
        double[] forgetting = [.. runs.Select(results.Forgetting).OfType<double>()];
        double[] seconds = [.. runs.Select(run => run.SecondsPerStep).OfType<double>()];
        return new TableRow
        {
            Method = method,
            TrainableParameters = runs.Max(run => run.TrainableParameters),
            LearningRate = isBase ? null : runs[0].Run.LearningRate,
            Tests = [.. results.Before.Scores.Select(score => TestCell.Of(score, runs))],
            TextLoss = runs.Average(run => run.TextLoss),
            Forgetting = isBase || forgetting.Length == 0 ? null : forgetting.Average(),
            ForgettingInterval = Statistics.HalfInterval(forgetting),
            Choices = runs.Average(run => run.Choices?.Accuracy),
            Intruders = runs.Average(PaperClaims.Intruders),
            SecondsPerStep = seconds.Length == 0 ? null : Statistics.Median(seconds),
            PeakMemory = Statistics.Median(runs.Select(run => (double)run.PeakMemory)),
            Diverged = runs.Count(run => run.Divergence is not null),
        };
    }
}

/// <summary>How a method answered one set of questions.</summary>
/// <param name="Accuracy">The mean over the seeds.</param>
/// <param name="SeedInterval">
/// Half of its 95 % interval over the seeds (Student's t): how far trainings differ, the questions being the same.
/// </param>
/// <param name="QuestionInterval">The 95 % interval (Wilson's) of the mean: what other questions may give.</param>
internal sealed record TestCell(double Accuracy, double? SeedInterval, (double Lower, double Upper) QuestionInterval)
{
    public static TestCell Of(Score before, IReadOnlyList<RunResult> runs)
    {
        double[] accuracies = [.. runs.Select(run => StudyResults.Accuracy(run, before.Name))];
        double mean = accuracies.Average();
        return new TestCell(
            mean, Statistics.HalfInterval(accuracies), WilsonInterval.Of((int)Math.Round(mean * before.Total), before.Total));
    }

    /// <summary>In percent.</summary>
    public override string ToString()
    {
        string half = SeedInterval is { } interval ? string.Create(CultureInfo.InvariantCulture, $" ± {100 * interval:F1}") : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"{100 * Accuracy:F1}{half} [{100 * QuestionInterval.Lower:F1}, {100 * QuestionInterval.Upper:F1}]");
    }
}
