using System.Globalization;
using System.Xml.Linq;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>A training as a page.</summary>
internal static class TrainingPage
{
    public static void Write(
        SorsaTrainingRecord training, MergeReport? merge, IReadOnlyList<AnswerComparison> answers, string title, Stream stream)
    {
        ReportFigure[] figures = [.. TrainingFigures.Of(training)];
        ReportPage.Write(
            stream, PlainText.Of(title),
            new XElement("dl", Facts(training).Select(fact => new[]
            {
                new XElement("dt", fact.Name), new XElement("dd", PlainText.Of(fact.Text)),
            })),
            new XElement("p", Summary(training)),
            ReportPage.Figures(figures),
            answers.Count == 0 ? null : Answers(answers),
            Section(
                "Data", Data(training),
                "Lengths are in tokens, before anything is cut. Texts that were cut lost their end."),
            merge is { Matrices.Count: > 0 } ? Section("Merge", Merge(merge), MergeNote) : null,
            Section("Options", Options(training), "What was set stands out; the others have their defaults."));
    }

    private const string MergeNote =
        "What was trained is merged into the weights, and these are rounded to the type that is saved. Largest rounding error: of one "
        + "value. Relative: of a whole matrix, by its norm. Effective rank: in how many directions training moved a matrix. NF4: the "
        + "relative error of quantising, where the base was quantised.";

    private static object[] Section(string heading, XElement table, string note) =>
    [
        new XElement("h2", heading), new XElement("div", new XAttribute("class", "scroll"), table), new XElement("p", note),
    ];

    private static IEnumerable<(string Name, string Text)> Facts(SorsaTrainingRecord training)
    {
        yield return ("Base", $"{training.BaseModel ?? "a model object without a folder"}, license: {training.BaseLicense}");
        yield return ("Method", $"{training.Method}, {Count(training.TrainableParameters)} values train");
        yield return ("Data", $"{Count(training.TrainData.Rows)} rows to train on, "
            + (training.ValidationData is { } validation ? $"{Count(validation.Rows)} to validate on" : "none to validate on"));
        yield return ("Steps", training.Losses.Count == training.TotalSteps
            ? Count(training.TotalSteps)
            : $"{Count(training.Losses.Count)} of {Count(training.TotalSteps)}: ended early");
        yield return ("Begun", training.Begun.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture));
        yield return ("Took", $"{Time(training.Duration)} on {training.Device}"
            + (training.Steps.Count > 0 && training.Steps.Count < training.Losses.Count
                ? $", since step {Count(training.Steps[0].Step)}, where it went on" : ""));
        yield return ("Version", $"Microsoft.ML.Sorsa {SorsaTrainingRecord.LibraryVersion}");
    }

    private static string Summary(SorsaTrainingRecord training)
    {
        if (training.Losses.Count == 0)
        {
            return "No step was taken.";
        }

        string loss = $"The loss went from {NumberText.Of(training.Losses[0])} to {NumberText.Of(training.Losses[^1])}";
        if (training.ValidationLosses.Count == 0)
        {
            return $"{loss}.";
        }

        (int step, double lowest) = training.ValidationLosses.MinBy(at => at.Loss);
        return $"{loss}. The lowest validation loss is {NumberText.Of(lowest)}, after step {NumberText.Of(step)}: the weights are those of "
            + "that step.";
    }

    private static XElement Data(SorsaTrainingRecord training)
    {
        DataStatistics train = training.TrainData;
        DataStatistics? validation = training.ValidationData;
        var rows = new List<(string Name, Func<DataStatistics, string> Value)>
        {
            ("Rows", data => Count(data.Rows)),
            ("Left out: empty prompts", data => Count(data.EmptyPrompts)),
            ("Left out: empty responses", data => Count(data.EmptyResponses)),
            ("Rows that an earlier one equals", data => Count(data.Duplicates)),
            ("Rows with an earlier prompt and another response", data => Count(data.RepeatedPrompts)),
            ("Rows that are trained on, too", data => data.SharedWithTraining is { } shared ? Count(shared) : NumberText.None),
            ("Tokens in one pass", data => Count(data.Tokens)),
            ("Of them learnt", data => Count(data.LearntTokens)),
        };
        (string, Func<DataStatistics, TokenLengths?>)[] parts =
            [("Prompt", data => data.Prompts), ("Response", data => data.Responses), ("Row", data => data.Texts)];
        foreach ((string name, Func<DataStatistics, TokenLengths?> part) in parts.Where(part => part.Item2(train) is not null))
        {
            rows.Add(($"{name}: tokens", data => part(data) is { } lengths ? Range(lengths) : NumberText.None));
            rows.Add(($"{name}: cut", data => part(data) is { } lengths ? Cut(lengths, data.Rows) : NumberText.None));
        }

        return Table(
            validation is null ? ["", "Trained on"] : ["", "Trained on", "Validated on"],
            rows.Where(row => validation is not null || row.Name != "Rows that are trained on, too").Select(row => Row(
                new XElement("td", row.Name), Number(row.Value(train)), validation is null ? null : Number(row.Value(validation)))));
    }

    private static string Range(TokenLengths lengths) =>
        $"{Count(lengths.Shortest)} to {Count(lengths.Longest)}; half ≤ {Count(lengths.Median)}, 90 % ≤ {Count(lengths.Percentile90)}, "
        + $"99 % ≤ {Count(lengths.Percentile99)}";

    private static string Cut(TokenLengths lengths, int rows)
    {
        string limit = lengths.Limit is { } most ? $" (limit {Count(most)})" : "";
        return lengths.CutTexts == 0
            ? $"none{limit}"
            : $"{Count(lengths.CutTexts)}, {(100.0 * lengths.CutTexts / rows).ToString("0.#", CultureInfo.InvariantCulture)} %{limit}; "
                + $"{Count(lengths.CutTokens)} tokens lost";
    }

    private static XElement Merge(MergeReport merge)
    {
        bool isQuantized = merge.Matrices.Any(matrix => Nf4(matrix) is not null);
        return Table(
            [
                "Matrices", "Number", "Largest rounding error", "Relative", "Norm of the update", "Effective rank",
                .. isQuantized ? ["NF4"] : Array.Empty<string>(),
            ],
            merge.Matrices.GroupBy(matrix => Kind(matrix.Name), StringComparer.Ordinal).Select(kind => Row(
                new XElement("td", PlainText.Short(kind.Key, 40)),
                Number(NumberText.Of(kind.Count())),
                Number(NumberText.Of(kind.Max(matrix => matrix.LargestRoundingError))),
                Number(NumberText.Of(kind.Max(matrix => matrix.RelativeRoundingError))),
                Number(Span(kind.Select(matrix => matrix.UpdateNorm))),
                Number(Span(kind.Select(matrix => matrix.EffectiveRank))),
                isQuantized ? Number(NumberText.Of(kind.Max(Nf4))) : null)));

        static double? Nf4(MatrixMerge matrix) => matrix.Nf4Error ?? matrix.Nf4InitialError ?? matrix.Nf4ResidualError;

        // model.layers.0.self_attn.q_proj.weight
        static string Kind(string name) => name.Split('.') is [.., var kind, _] ? kind : name;

        static string Span(IEnumerable<double> values) => $"{NumberText.Of(values.Min())} to {NumberText.Of(values.Max())}";
    }

    /// <summary>Texts as they are: a line of theirs is a line here.</summary>
    private static object[] Answers(IReadOnlyList<AnswerComparison> answers) =>
    [
        new XElement("h2", "Answers before and after"),
        .. answers.Select(answer => new XElement(
            "dl", new XAttribute("class", "answer"), Text("Prompt", answer.Prompt), Text("Before", answer.Before),
            Text("After", answer.After))),
    ];

    private static XElement[] Text(string name, string text) =>
    [
        new XElement("dt", name),
        string.IsNullOrWhiteSpace(text)
            ? new XElement("dd", new XAttribute("class", "nothing"), "nothing")
            : new XElement("dd", PlainText.Of(text)),
    ];

    private static XElement Options(SorsaTrainingRecord training) => Table(
        ["Option", "Value"],
        training.Options.OrderBy(option => option.IsDefault).Select(option => new XElement(
            "tr", new XAttribute("class", option.IsDefault ? "" : "best"),
            new XElement("td", option.Name),
            new XElement("td", new XAttribute("class", "value"), PlainText.Of(option.Value)))));

    private static XElement Table(IEnumerable<string> headings, IEnumerable<XElement> rows) => new(
        "table",
        new XElement("thead", new XElement("tr", headings.Select(heading => new XElement("th", heading)))),
        new XElement("tbody", rows));

    private static XElement Row(params XElement?[] cells) => new("tr", cells);

    private static XElement Number(string text) => new("td", new XAttribute("class", "number"), text);

    private static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static string Time(TimeSpan time) => time.TotalMinutes < 2
        ? $"{NumberText.Of(Math.Round(time.TotalSeconds, 1))} s"
        : time.TotalHours < 2
            ? $"{NumberText.Of(Math.Round(time.TotalMinutes, 1))} min"
            : $"{NumberText.Of(Math.Round(time.TotalHours, 1))} h";
}
