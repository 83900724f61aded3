using System.Diagnostics;
using ReproducePaper.Report;

namespace ReproducePaper;

/// <summary>The study: rates, then what is reported, then γ; and the report of it all.</summary>
internal static class Study
{
    public static int Do(StudySettings settings, string output, int processes, int threads, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();

        // Read once here, so that a file that is wrong is found before the first training.
        StudyData data = StudyData.Load(settings);
        if (data.Train.Count < 2 || data.Validation.Count == 0)
        {
            throw new ArgumentException(FormattableString.Invariant(
                $"--train has {data.Train.Count + data.Validation.Count} rows that can be used; some are trained on and some choose the ")
                + "learning rates: give at least 4.");
        }

        settings = settings with { Rows = data.Train.Count, ValidationRows = data.Validation.Count };
        StudyFolder folder = StudyFolder.Open(output, settings);
        settings = folder.Settings;
        Console.WriteLine(FormattableString.Invariant(
            $"{settings.ModelName}: {settings.Methods.Count} methods, {data.Train.Count} rows to train on, ")
            + FormattableString.Invariant($"{data.Validation.Count} to validate, {data.Tests.Sum(test => test.Rows.Count)} to ask"));
        var queue = new RunQueue(folder, processes, threads, cancellationToken);
        StudyMethod[] untrained = settings.HasTwoTypes ? [StudyMethod.Base, StudyMethod.BaseInFloat32] : [StudyMethod.Base];
        RunResult[] before = queue.Do("the model before",
            [.. untrained.Select(model => new Run { Kind = RunKind.Base, Method = model.Key, LearningRate = 0, Seed = 0 })]);
        if (before[0].Scores.FirstOrDefault(score => score.Total == 0) is { } unread)
        {
            throw new InvalidDataException(
                $"{unread.Name}: no row can be judged, so that nothing could be told. The first: {unread.Problem}");
        }

        IReadOnlyList<TunedRate> rates = RateSearch.Do(settings, queue);
        (string Method, double Rate)[] best =
            [.. rates.Where(rate => rate.Best is not null).Select(rate => (rate.Method.Key, rate.Best!.Value))];

        // Methods take turns, so that what else the machine does meets all of them.
        RunResult[] reported = queue.Do("methods",
        [
            .. from seed in Enumerable.Range(1, settings.Seeds)
               from method in best
               select new Run { Kind = RunKind.Reported, Method = method.Method, LearningRate = method.Rate, Seed = seed },
        ]);
        RunResult[] gammas = queue.Do("γ",
        [
            .. from seed in Enumerable.Range(1, settings.GammaSeeds)
               from method in best
               where method.Method == StudyMethod.Sorsa
               from gamma in settings.Gammas
               select new Run { Kind = RunKind.Gamma, Method = method.Method, LearningRate = method.Rate, Seed = seed, Gamma = gamma },
        ]);

        var results = new StudyResults(settings, before[0], before[^1], rates, reported, gammas);
        StudyTables.Write(folder, results);
        string report = folder.PathOf("report.html");
        StudyFolder.Write(report, ReportPage.Of(results));
        ConsoleSummary.Write(results);
        Console.WriteLine(FormattableString.Invariant(
            $"{queue.Trained} runs in {clock.Elapsed.TotalMinutes:F1} minutes. Report: {report}; the numbers lie beside it as CSV."));
        return 0;
    }
}

/// <summary>All that the report is made of.</summary>
internal sealed record StudyResults(
    StudySettings Settings, RunResult Before, RunResult BeforeInFloat32, IReadOnlyList<TunedRate> Rates, IReadOnlyList<RunResult> Reported,
    IReadOnlyList<RunResult> Gammas)
{
    /// <summary>Those with runs: a method that failed at every learning rate has none.</summary>
    public IReadOnlyList<StudyMethod> Methods { get; } =
        [.. Rates.Where(rate => rate.Best is not null).Select(rate => rate.Method)];

    /// <summary>The runs of a method, by seed; none where it is not in the study.</summary>
    public IReadOnlyList<RunResult> Of(string method) =>
        [.. Reported.Where(run => run.Run.Method == method).OrderBy(run => run.Run.Seed)];

    /// <summary>The first set of questions; what accuracy means where only one can be shown.</summary>
    public string MainTest => Before.Scores.Count > 0 ? Before.Scores[0].Name : "";

    /// <summary>The share of right answers; a training that diverged has none right.</summary>
    public static double Accuracy(RunResult run, string test) =>
        run.Find(test)?.Accuracy ?? 0;

    /// <summary>Nats per token of general text that were lost; null where that was not measured.</summary>
    public double? Forgetting(RunResult run) => run.TextLoss
        - (StudyMethod.Find(run.Run.Method)!.TrainsEveryWeight ? BeforeInFloat32 : Before).TextLoss;
}
