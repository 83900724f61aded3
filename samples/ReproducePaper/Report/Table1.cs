using System.Globalization;
using System.Xml.Linq;

namespace ReproducePaper.Report;

/// <summary>Table 1 as it stands in the report and on the console.</summary>
internal static class Table1
{
    public static object[] Of(StudyResults results) =>
    [
        new XElement("h2", "Table 1: what is learnt, and what it costs"),
        new XElement("p",
            FormattableString.Invariant($"Means over {results.Settings.Seeds} seeds that chose no learning rate. Of right "),
            "answers: the mean ± half of its 95 % interval over the seeds (Student's t: how far trainings differ), then in ",
            "brackets Wilson's 95 % interval (what other questions would give). Forgotten: general text's loss in nats a token, after ",
            "minus before. Intruder dimensions: of a matrix's ten leading singular vectors, how many the start has none like, meaned ",
            "over all matrices (arXiv 2410.21228). Memory is that of the process, .NET and libtorch included."),
        HtmlTable.Of(Heads(results), TableRow.Of(results).Select(Cells)),
        new XElement("p", Ties(results)),
        .. results.Before.Scores.Where(score => score.Failed > 0).Select(score => new XElement("p", FormattableString.Invariant(
            $"{score.Name}: {score.Failed} rows have no verdict and count for nothing; the first: {score.Problem}"))),
    ];

    public static IEnumerable<string> Heads(StudyResults results) =>
    [
        "method", "trained", "rate", .. results.Before.Scores.Select(score => $"{score.Name}, % right"), "general text, loss", "forgotten",
        "choices, % right", "intruder dim.", "s / step", "MB",
    ];

    public static IEnumerable<string> Cells(TableRow row) =>
    [
        row.Method.Title + (row.Diverged > 0 ? FormattableString.Invariant($" ({row.Diverged} diverged)") : ""),
        row.TrainableParameters == 0 ? None : row.TrainableParameters.ToString("N0", CultureInfo.InvariantCulture),
        Number(row.LearningRate, "0.#e-0"),
        .. row.Tests.Select(test => test.ToString()),
        Number(row.TextLoss, "F3"),
        Number(row.Forgetting, "+0.000;-0.000;0.000") + (row.ForgettingInterval is { } half ? " ± " + Number(half, "F3") : ""),
        Number(100 * row.Choices, "F1"), Number(row.Intruders, "F2"), Number(row.SecondsPerStep, "F3"),
        row.PeakMemory == 0 ? None : Number(row.PeakMemory / 1e6, "F0"),
    ];

    private const string None = "–";

    /// <summary>Which methods are as good as the best, as far as these seeds tell.</summary>
    private static string Ties(StudyResults results)
    {
        if (results.MainTest.Length == 0 || results.Methods.Count < 2)
        {
            return "";
        }

        double?[] Accuracies(StudyMethod method) =>
            [.. results.Of(method.Key).Select(run => (double?)StudyResults.Accuracy(run, results.MainTest))];
        int questions = results.Before.Scores[0].Total;
        StudyMethod best = results.Methods.MaxBy(method => Accuracies(method).Average())!;
        string[] ties =
        [
            .. results.Methods
                .Where(method => method != best
                    && Claim.Of("", larger: true, Accuracies(best), Accuracies(method), "", questions: questions)
                        .Verdict == Verdict.CannotTell)
                .Select(method => method.Title),
        ];
        return $"{results.MainTest}: {best.Title} has the highest mean. " + (ties.Length == 0
            ? "No other method's difference from it lies within its interval."
            : $"Within the interval of the difference, seed by seed, and so not told apart by these data: {string.Join("; ", ties)}.");
    }

    private static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? None;
}

/// <summary>What the search for learning rates tried.</summary>
internal static class RateTable
{
    public static object[] Of(StudyResults results) =>
    [
        new XElement("h2", "Learning rates"),
        new XElement("p",
            FormattableString.Invariant($"Loss on {results.Settings.ValidationRows} validation rows after {results.Settings.StepsToTune} "),
            FormattableString.Invariant($"steps (of {results.Settings.WholeSteps} in the runs of the table), meaned over "),
            FormattableString.Invariant($"{results.Settings.TuningSeeds} seeds that are used for nothing else. Each method has its own "),
            "best (*): at one rate for all the comparison would be one of rates (arXiv 2602.04998)."),
        HtmlTable.Of(
            ["method", "learning rate: loss"], results.Rates.Select(rate => new[] { rate.Method.Title, Text(rate) }), isText: true),
        .. LeftOut(results),
    ];

    /// <summary>Why a method has no runs.</summary>
    private static IEnumerable<XElement> LeftOut(StudyResults results) =>
        from rate in results.Rates
        where rate.Best is null
        select new XElement("p", $"{rate.Method.Title} is left out; it failed at every rate: {rate.Tried[0].Failure}");

    private static string Text(TunedRate rate) => string.Join("   ", rate.Tried.Select(tried =>
    {
        string loss = double.IsFinite(tried.Loss) ? tried.Loss.ToString("F4", CultureInfo.InvariantCulture) : "failed";
        return string.Create(CultureInfo.InvariantCulture, $"{tried.Rate:0.#e-0}: {loss}{(tried.Rate == rate.Best ? " *" : "")}");
    })) + (rate.Best is not null && rate.EdgeOf != 0 ? "   (the search ended here: the best may lie beyond)" : "");
}

/// <summary>A table that scrolls where the screen is narrower.</summary>
internal static class HtmlTable
{
    public static XElement Of(IEnumerable<string> heads, IEnumerable<IEnumerable<string>> rows, bool isText = false) => new(
        "div", new XAttribute("class", isText ? "scroll left" : "scroll"), new XElement("table",
            new XElement("thead", new XElement("tr", heads.Select(head => new XElement("th", head)))),
            new XElement("tbody", rows.Select(row => new XElement("tr", row.Select(cell => new XElement("td", cell)))))));
}
