using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Text.Json;
using Spectre.Console;

namespace CompareMethods;

/// <summary>
/// First each method's learning rate, by the loss on validation rows; then the runs of the table, with other seeds and on other questions.
/// </summary>
internal static class Comparison
{
    public const int SearchSeed = 0;

    public static int Run(Settings settings)
    {
        var clock = Stopwatch.StartNew();
        Say(
            $"{Path.GetFileName(Path.TrimEndingDirectorySeparator(settings.Model))}: {settings.Steps} steps of {settings.Batch} from ",
            $"{settings.Rows} rows, rank {settings.Rank}; every training in a process and on a thread of its own, ",
            $"{settings.Processes} at a time");

        IEnumerable<RunRequest> rates = settings.Methods.SelectMany(method => method.LearningRates.Select(
            rate => Request(settings, method, rate, SearchSeed) with { ValidationRows = settings.ValidationRows }));
        RunResult[] search = RunAll("learning rates", settings.Processes, [.. rates]);
        ComparisonTable.WriteSearch(settings, search);
        Dictionary<string, double> best = settings.Methods.ToDictionary(
            method => method.Key, method => BestRate(method, search), StringComparer.Ordinal);

        // Methods take turns, so that what else the machine does meets all of them.
        IEnumerable<RunRequest> seeds = Enumerable.Range(SearchSeed + 1, settings.Seeds).SelectMany(seed => settings.Methods.Select(
            method => Request(settings, method, best[method.Key], seed) with { AskedRows = settings.AskedRows }));
        RunResult[] runs = RunAll("table", settings.Processes, [.. seeds]);

        ComparisonTable.WriteRuns(settings, runs);
        if (settings.Out is not null)
        {
            Directory.CreateDirectory(settings.Out);
            string file = Path.Combine(settings.Out, "runs.jsonl");
            File.WriteAllLines(file, search.Concat(runs).Select(run => JsonSerializer.Serialize(run)));
            Say($"all runs: {file}");
        }

        Say($"{search.Length + runs.Length} runs, {clock.Elapsed.TotalMinutes:F1} minutes");
        return 0;
    }

    private static RunRequest Request(Settings settings, MethodVariant method, double learningRate, int seed) => new()
    {
        Model = settings.Model,
        Method = method.Key,
        LearningRate = learningRate,
        Seed = seed,
        Steps = settings.Steps,
        Batch = settings.Batch,
        Rank = settings.Rank,
        Rows = settings.Rows,
    };

    private static double BestRate(MethodVariant method, IReadOnlyList<RunResult> search) => search
        .Where(run => run.Request.Method == method.Key && run.ValidationLoss is not null)
        .MinBy(run => run.ValidationLoss)?.Request.LearningRate
        ?? throw new InvalidOperationException($"{method.Title} diverged with every learning rate.");

    /// <summary>As many at a time as there may be processes; the results are in the order of the requests.</summary>
    private static RunResult[] RunAll(string title, int processes, RunRequest[] requests)
    {
        var results = new RunResult[requests.Length];
        if (!AnsiConsole.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
        {
            Run(() => { });
        }
        else
        {
            AnsiConsole.Progress()
                .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(),
                    new RemainingTimeColumn())
                .Start(context =>
                {
                    ProgressTask task = context.AddTask(title, maxValue: requests.Length);
                    Run(() => task.Increment(1));
                });
        }

        return results;

        void Run(Action done)
        {
            try
            {
                var oneByOne = Partitioner.Create(Enumerable.Range(0, requests.Length), EnumerablePartitionerOptions.NoBuffering);
                Parallel.ForEach(oneByOne, new ParallelOptions { MaxDegreeOfParallelism = processes }, i =>
                {
                    results[i] = TrainingProcess.Start(requests[i]);
                    done();
                });
            }
            catch (AggregateException e)
            {
                // Those side by side fail alike; one of them says it.
                ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
            }
        }
    }

    private static void Say(params FormattableString[] pieces) =>
        Console.WriteLine(string.Concat(pieces.Select(FormattableString.Invariant)));
}
