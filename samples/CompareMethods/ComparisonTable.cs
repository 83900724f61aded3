using System.Globalization;
using Spectre.Console;

namespace CompareMethods;

/// <summary>What is printed: the search for learning rates, and the table. In Markdown, so that it can be copied into a document.</summary>
internal static class ComparisonTable
{
    private const int Width = 200;

    /// <summary>The validation loss of each method at each of its learning rates.</summary>
    public static void WriteSearch(Settings settings, IReadOnlyList<RunResult> search)
    {
        Table table = Create(["method", "learning rate: loss"]);
        foreach (MethodVariant method in settings.Methods)
        {
            RunResult[] runs = [.. search.Where(run => run.Request.Method == method.Key).OrderBy(run => run.Request.LearningRate)];
            double? lowest = runs.Min(run => run.ValidationLoss);
            table.AddRow(method.Title, string.Join("    ", runs.Select(run => Loss(run, lowest))));
        }

        Write(
            table,
            $"Loss on {settings.ValidationRows} validation rows by peak learning rate ",
            $"(seed {Comparison.SearchSeed}; * is each method's best):");

        static string Loss(RunResult run, double? lowest) => run.ValidationLoss is { } loss
            ? string.Create(CultureInfo.InvariantCulture, $"{Rate(run.Request.LearningRate)}: {loss:F4}{(loss == lowest ? " *" : "")}")
            : $"{Rate(run.Request.LearningRate)}: diverged";
    }

    /// <summary>The comparison itself.</summary>
    public static void WriteRuns(Settings settings, IReadOnlyList<RunResult> runs)
    {
        Table table = Create(
            ["method", "trainable parameters", "learning rate", "s / step", "peak memory, MB", "final loss", "accuracy, %"]);
        foreach (MethodVariant method in settings.Methods)
        {
            table.AddRow(Cells(method, [.. runs.Where(run => run.Request.Method == method.Key)]));
        }

        Write(table, $"Seeds 1 to {settings.Seeds}, {settings.AskedRows} questions that no run was trained on or chosen by:");
        Say(
            $"s / step: median of all steps but each run's first. Peak memory: of the process, .NET and libtorch included, ",
            $"up to the end of training; median of the runs.");
        Say(
            $"Final loss: mean of the last tenth of the steps. Accuracy: exact match of the final answer, ",
            $"mean over the seeds ± half of the 95 % interval,");
        Say($"Student's t over the seeds' accuracies: it says how far seeds differ, the questions being the same.");
        foreach (RunResult run in runs.Where(run => run.Divergence is not null))
        {
            Say($"{run.Request.Method}, seed {run.Request.Seed}, counts as 0 %: {run.Divergence}");
        }
    }

    private static string[] Cells(MethodVariant method, RunResult[] runs)
    {
        double[] accuracies = [.. runs.Select(run => 100 * run.Accuracy!.Value)],
            losses = [.. runs.Select(run => run.FinalLoss).OfType<double>()],
            seconds = [.. runs.Select(run => run.SecondsPerStep).OfType<double>()];
        string interval = Statistics.HalfInterval(accuracies) is { } half
            ? string.Create(CultureInfo.InvariantCulture, $" ± {half:F1}")
            : "";
        return
        [
            method.Title,
            runs.Max(run => run.TrainableParameters).ToString("N0", CultureInfo.InvariantCulture),
            Rate(runs[0].Request.LearningRate),
            seconds.Length == 0 ? "-" : Statistics.Median(seconds).ToString("F3", CultureInfo.InvariantCulture),
            (Statistics.Median(runs.Select(run => (double)run.PeakMemory)) / 1e6).ToString("F0", CultureInfo.InvariantCulture),
            losses.Length == 0 ? "-" : losses.Average().ToString("F4", CultureInfo.InvariantCulture),
            string.Create(CultureInfo.InvariantCulture, $"{accuracies.Average():F1}{interval}"),
        ];
    }

    private static Table Create(string[] columns)
    {
        Table table = new() { Border = TableBorder.Markdown };
        foreach (string column in columns)
        {
            table.AddColumn(new TableColumn(column) { NoWrap = true });
        }

        return table;
    }

    private static void Write(Table table, params FormattableString[] title)
    {
        Say($"");
        Say(title);
        Say($"");
        AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, Width);
        AnsiConsole.Write(table);
    }

    private static string Rate(double rate) => rate.ToString("0.#e-0", CultureInfo.InvariantCulture);

    private static void Say(params FormattableString[] pieces) =>
        Console.WriteLine(string.Concat(pieces.Select(FormattableString.Invariant)));
}
