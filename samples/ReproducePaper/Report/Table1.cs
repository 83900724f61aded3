using System.Globalization;
using System.Xml.Linq;
using CompareMethods;

namespace ReproducePaper.Report;

/// <summary>A row of Table 1, with what was forgotten beside it.</summary>
internal sealed record TableRow(
    StudyMethod Method, long TrainableParameters, double? LearningRate, IReadOnlyList<TestCell> Tests, double? TextLoss, double? Forgetting,
    double? ForgettingInterval, double? Choices, double? Intruders, double? SecondsPerStep, double PeakMemory, int Diverged)
{
    public static IReadOnlyList<TableRow> Of(StudyResults results) =>
        [Row(results, StudyMethod.Base, [results.Before]), .. results.Methods.Select(method => Row(results, method, results.Of(method.Key)))];

    private static TableRow Row(StudyResults results, StudyMethod method, IReadOnlyList<RunResult> runs)
    {
        double[] forgetting = [.. runs.Select(results.Forgetting).OfType<double>()],
            seconds = [.. runs.Select(run => run.SecondsPerStep).OfType<double>()];
        return new TableRow(
            method, runs.Max(run => run.TrainableParameters), method == StudyMethod.Base ? null : runs[0].Run.LearningRate,
            [.. results.Before.Scores.Select(score => TestCell.Of(score, runs))],
            runs.Average(run => run.TextLoss), forgetting.Length == 0 ? null : forgetting.Average(),
            Statistics.HalfInterval(forgetting), runs.Average(run => run.Choices?.Accuracy), runs.Average(PaperClaims.Intruders),
            seconds.Length == 0 ? null : Statistics.Median(seconds), Statistics.Median(runs.Select(run => (double)run.PeakMemory)),
            runs.Count(run => run.Divergence is not null));
    }
}

/// <summary>How a method answered one set of questions.</summary>
/// <param name="Test">The set's name.</param>
/// <param name="Accuracy">The mean over the seeds.</param>
/// <param name="SeedInterval">Half of its 95 % interval over the seeds (Student's t): how far trainings differ, the questions being the same.</param>
/// <param name="QuestionInterval">The 95 % interval (Wilson's) of the first seed's answers: what other questions may give.</param>
internal sealed record TestCell(string Test, double Accuracy, double? SeedInterval, (double Lower, double Upper) QuestionInterval)
{
    public static TestCell Of(Score before, IReadOnlyList<RunResult> runs)
    {
        double[] accuracies = [.. runs.Select(run => StudyResults.Accuracy(run, before.Name))];
        return new TestCell(
            before.Name, accuracies.Average(), Statistics.HalfInterval(accuracies), Wilson(accuracies.Average(), before.Total));
    }

    public string Text => string.Create(CultureInfo.InvariantCulture,
        $"{100 * Accuracy:F1}{(SeedInterval is { } half ? $" ± {100 * half:F1}" : "")} [{100 * QuestionInterval.Lower:F1}, {100 * QuestionInterval.Upper:F1}]");

    private static (double Lower, double Upper) Wilson(double share, int count)
    {
        const double Z = 1.959964;
        double spread = Z * Z / count, centre = share + spread / 2, half = Z * Math.Sqrt((share * (1 - share) + spread / 4) / count);
        return (Math.Max(0, (centre - half) / (1 + spread)), Math.Min(1, (centre + half) / (1 + spread)));
    }
}

/// <summary>Table 1 as it stands in the report.</summary>
internal static class Table1
{
    public static object[] Of(StudyResults results)
    {
        IReadOnlyList<TableRow> rows = TableRow.Of(results);
        string[] heads =
        [
            "method", "trainable parameters", "learning rate", .. results.Before.Scores.Select(score => $"{score.Name}, % right"),
            "general text, loss", "forgotten", "choices, % right", "intruder dimensions", "s / step", "peak memory, MB",
        ];
        return
        [
            new XElement("h2", "Table 1: what is learnt, and what it costs"),
            new XElement("p",
                FormattableString.Invariant($"Means over {results.Settings.Seeds} seeds that no learning rate was chosen by. Of right answers: the mean ± half of its 95 % interval over the ")
                + "seeds (Student's t: how far trainings differ), then in brackets Wilson's 95 % interval (what other questions would give). Forgotten: general "
                + "text's loss in nats a token, after minus before. Intruder dimensions: of a matrix's ten leading singular vectors, how many the start has "
                + "none like, meaned over all matrices (arXiv 2410.21228)."),
            new XElement("div", new XAttribute("class", "scroll"), new XElement("table",
                new XElement("thead", new XElement("tr", heads.Select(head => new XElement("th", head)))),
                new XElement("tbody", rows.Select(row => new XElement("tr", Cells(row).Select(cell => new XElement("td", cell))))))),
            new XElement("p", Ties(results)),
        ];
    }

    public static string[] Cells(TableRow row) =>
    [
        row.Method.Title + (row.Diverged > 0 ? FormattableString.Invariant($" ({row.Diverged} diverged)") : ""),
        row.TrainableParameters == 0 ? "–" : row.TrainableParameters.ToString("N0", CultureInfo.InvariantCulture),
        row.LearningRate is { } rate ? rate.ToString("0.#e-0", CultureInfo.InvariantCulture) : "–",
        .. row.Tests.Select(test => test.Text),
        Number(row.TextLoss, "F3"),
        row.Method == StudyMethod.Base ? "–" : Number(row.Forgetting, "+0.000;-0.000;0.000") + (row.ForgettingInterval is { } half ? FormattableString.Invariant($" ± {half:F3}") : ""),
        Number(100 * row.Choices, "F1"), row.Method == StudyMethod.Base ? "–" : Number(row.Intruders, "F2"), Number(row.SecondsPerStep, "F3"),
        row.PeakMemory == 0 ? "–" : (row.PeakMemory / 1e6).ToString("F0", CultureInfo.InvariantCulture),
    ];

    /// <summary>Which methods are as good as the best, as far as these seeds tell.</summary>
    private static string Ties(StudyResults results)
    {
        if (results.MainTest.Length == 0 || results.Methods.Count < 2)
        {
            return "";
        }

        double?[] Accuracies(StudyMethod method) => [.. results.Of(method.Key).Select(run => (double?)StudyResults.Accuracy(run, results.MainTest))];
        StudyMethod best = results.Methods.MaxBy(method => Accuracies(method).Average())!;
        string[] ties =
        [
            .. results.Methods.Where(method => method != best
                && Claim.Of("", larger: true, Accuracies(best), Accuracies(method), "").Verdict == Verdict.CannotTell).Select(method => method.Title),
        ];
        return $"{results.MainTest}: {best.Title} has the highest mean. " + (ties.Length == 0
            ? "No other method's difference from it lies within its interval."
            : $"Within the interval of the difference, seed by seed, and so not told apart by these data: {string.Join(", ", ties)}.");
    }

    private static string Number(double? value, string format) => value is { } number ? number.ToString(format, CultureInfo.InvariantCulture) : "–";
}

/// <summary>What the search for learning rates tried.</summary>
internal static class RateTable
{
    public static object[] Of(StudyResults results) =>
    [
        new XElement("h2", "Learning rates"),
        new XElement("p",
            FormattableString.Invariant($"Loss on {results.Settings.ValidationRows} validation rows, meaned over {results.Settings.TuningSeeds} seeds that are used for nothing else. Each method has its own best (*): ")
            + "at one rate for all the comparison would be one of rates (arXiv 2602.04998)."),
        new XElement("div", new XAttribute("class", "scroll"), new XElement("table",
            new XElement("thead", new XElement("tr", new XElement("th", "method"), new XElement("th", "learning rate: loss"))),
            new XElement("tbody", results.Rates.Select(rate => new XElement("tr", new XElement("td", rate.Method.Title),
                new XElement("td", Text(rate))))))),
    ];

    public static string Text(TunedRate rate) => string.Join("   ", rate.Losses.Select(tried => string.Create(CultureInfo.InvariantCulture,
        $"{tried.Rate:0.#e-0}: {(double.IsFinite(tried.Loss) ? tried.Loss.ToString("F4", CultureInfo.InvariantCulture) : "diverged")}{(tried.Rate == rate.Best ? " *" : "")}")));
}
