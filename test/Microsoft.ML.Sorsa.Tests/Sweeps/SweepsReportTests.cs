using System.Globalization;
using System.Text;
using System.Xml.Linq;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Sweeps.Report;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>The report as a file: what is in it, whatever the sweep was.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsReportTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    private static readonly SorsaSearchSpace Mixed = new()
    {
        ["Gamma"] = new ChoiceOption(0.0, 1e-5, 4e-4),
        ["Rank"] = new UniformIntOption(4, 64, logBase: true),
        ["Method"] = new ChoiceOption("Sorsa", "Lora<&>\u0001"),
        ["TargetModules"] = new ChoiceOption(new[] { "q_proj", "v_proj" }, null),
        ["WarmupRatio"] = new UniformDoubleOption(0, 0.1),
    };

    /// <summary>Sweeps that a plot could break on.</summary>
    private static readonly Dictionary<string, SweepReport> Sweeps = new(StringComparer.Ordinal)
    {
        ["sixteen"] = SweepsReportData.Report(SorsaSearchSpace.Paper(), SweepsReportData.Trials(SorsaSearchSpace.Paper(), 16)),
        ["two hundred, maximized"] = SweepsReportData.Report(Mixed, SweepsReportData.Trials(Mixed, 200), isMaximized: true),
        ["mixed"] = SweepsReportData.Report(Mixed, SweepsReportData.Trials(Mixed, 16)),
        ["one"] = SweepsReportData.Report(SorsaSearchSpace.Paper(), SweepsReportData.Trials(SorsaSearchSpace.Paper(), 1)),
        ["one look"] = Paper(3, (trial, _) => trial with { Curve = [trial.Curve[0]] }),
        ["equal metrics"] = Paper(6, (trial, _) => trial with { Metric = 1.5 }),
        ["all zero"] = SweepsReportData.Report(
            new() { ["Gamma"] = new ChoiceOption(0.0) },
            [.. SweepsReportData.Trials(new() { ["Gamma"] = new ChoiceOption(0.0) }, 5)
                .Select(trial => trial with { Metric = 0, Orthonormality = 0, Curve = [new(1, 0, 0)] })]),
        ["choices only"] = SweepsReportData.Report(
            new() { ["Method"] = new ChoiceOption("Sorsa", "Pissa"), ["Rank"] = new ChoiceOption(4, 8) },
            SweepsReportData.Trials(new() { ["Method"] = new ChoiceOption("Sorsa", "Pissa"), ["Rank"] = new ChoiceOption(4, 8) }, 8)),
        ["far off"] = Paper(16, (trial, i) => i == 3
            ? trial with { Metric = 1e9, Curve = [new(5, double.NaN, null), new(10, 1e9, double.PositiveInfinity)] }
            : trial),
        ["negative metrics"] = Paper(6, (trial, i) => trial with { Metric = -i }),
        ["all failed"] = Paper(4, (trial, _) => trial with
        {
            State = TrialState.Failed,
            Metric = null,
            Orthonormality = null,
            Curve = [],
            Error = "no <memory> & \0 no end",
        }),
        ["none"] = SweepsReportData.Report(SorsaSearchSpace.Paper(), []),
    };

    public static IEnumerable<object[]> Names => Sweeps.Keys.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void EveryTrialIsInTheTableWithItsExactParameters(string name)
    {
        SweepReport report = Sweeps[name];

        string[][] rows = [.. Page(report).Descendants("tbody").Single().Elements("tr")
            .Where(row => row.Attribute("class")!.Value != "error")
            .Select(row => row.Elements("td").Select(cell => cell.Attribute("title")?.Value ?? cell.Value).ToArray())];

        Assert.HasCount(report.Trials.Count, rows);
        foreach ((TrialResult trial, string[] cells) in report.Trials.Zip(rows))
        {
            Assert.AreEqual(trial.TrialSettings.TrialId.ToString(CultureInfo.InvariantCulture), cells[0]);
            string[] expected = [.. report.Space.Select(option => trial.TrialSettings.Parameters.TryGetValue(option.Key, out object? value)
                ? ParameterText.Of(value).Replace('\u0001', '\uFFFD')
                : "–")];
            CollectionAssert.AreEqual(expected, cells[2..(2 + report.Space.Count)]);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void EveryDrawingIsWellFormedAndHoldsNoNumberThatIsNone(string name)
    {
        foreach (XElement drawing in Page(Sweeps[name]).Descendants(Svg + "svg"))
        {
            XElement alone = XElement.Parse(drawing.ToString());
            string[] broken = [.. alone.DescendantsAndSelf().Attributes()
                .Where(attribute => attribute.Value.Contains("NaN", StringComparison.Ordinal) || attribute.Value.Contains('∞'))
                .Select(attribute => attribute.ToString())];
            Assert.IsEmpty(broken, string.Join(Environment.NewLine, broken));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void NothingComesFromElsewhereAndNothingRuns(string name)
    {
        string text = Text(Sweeps[name]).Replace($"\"{Svg.NamespaceName}\"", "", StringComparison.Ordinal);

        foreach (string forbidden in new[] { "<script", "http", "//", "@import", "src=", "<link", "javascript:", "<image" })
        {
            Assert.DoesNotContain(forbidden, text, StringComparison.OrdinalIgnoreCase);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void AnIdentityIsThereOnceAndEveryReferenceIsMet(string name)
    {
        XElement page = Page(Sweeps[name]);
        string[] identities = [.. page.Descendants().Attributes("id").Select(id => id.Value)];
        string[] references = [.. page.Descendants().Attributes("clip-path").Select(clip => clip.Value["url(#".Length..^1])];

        CollectionAssert.AllItemsAreUnique(identities);
        Assert.IsEmpty(references.Except(identities, StringComparer.Ordinal).ToArray());
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void TheSameTrialsGiveTheSameBytesInAnyCulture(string name)
    {
        SweepReport report = Sweeps[name];
        string first = Text(report);
        CultureInfo before = CultureInfo.CurrentCulture;
        var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (comma.NumberFormat.NumberDecimalSeparator, comma.NumberFormat.NegativeSign) = (",", "minus");
        try
        {
            CultureInfo.CurrentCulture = comma;
            Assert.AreEqual(first, Text(report with { }));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [TestMethod]
    public void TextsAreEscaped()
    {
        string text = Text(SweepsReportData.Report(Mixed, SweepsReportData.Trials(Mixed, 16), metric: "<b>F1</b> & more"));

        Assert.Contains("&lt;b&gt;F1&lt;/b&gt; &amp; more", text);
        Assert.Contains("Lora&lt;&amp;&gt;\uFFFD", text);
        Assert.DoesNotContain("<b>", text);
        Assert.DoesNotContain("Lora<", text);
    }

    [TestMethod]
    public void TheSummarySaysWhatTheTrialsCameTo()
    {
        SweepReport report = Sweeps["sixteen"];
        TrialResult best = report.Trials.Where(trial => trial.Metric is not null).MinBy(trial => trial.Metric)!;

        string summary = Page(report with { StoppedByTime = true }).Descendants("p").First().Value;

        Assert.Contains("16 trials: 11 completed, 4 pruned, 1 failed.", summary);
        Assert.Contains(
            string.Create(
                CultureInfo.InvariantCulture,
                $"lowest validation loss is {best.Metric:G4}, of trial {best.TrialSettings.TrialId} with Gamma = "),
            summary);
        Assert.AreEqual(
            best.Metric!.Value.ToString("R", CultureInfo.InvariantCulture),
            Page(report).Descendants("strong").First().Attribute("title")!.Value,
            "All digits are there for a mouse.");
        Assert.Contains("28 matrices were decomposed and 420 decompositions taken from disk instead of 312.4 s of computing", summary);
        Assert.Contains("15 loads", summary);
        Assert.Contains("The time of the sweep was over", summary);
        Assert.DoesNotContain("The time of the sweep was over", Page(report).Value);
    }

    [TestMethod]
    [DataRow("sixteen", "gamma-rank curves parallel orthonormality", "there are 11 completed trials")]
    [DataRow("two hundred, maximized", "gamma-rank curves parallel orthonormality importance", "")]
    [DataRow(
        "one",
        "gamma-rank curves parallel orthonormality",
        "Importance of each parameter. Left out: it takes 20 completed trials that have the parameter, 6 for each group of its values, "
        + "and two groups; there are 1 completed trial.")]
    [DataRow("choices only", "curves parallel", "γ against rank. Left out: Gamma is not in the search space.")]
    [DataRow("equal metrics", "gamma-rank curves parallel orthonormality", "Left out: the completed trials all have the same metric")]
    [DataRow("all failed", "gamma-rank parallel", "Validation curves. Left out: no trial came to its first evaluation")]
    public void APlotThatSaysNothingIsLeftOutWithTheReason(string name, string drawn, string reason)
    {
        XElement page = Page(Sweeps[name]);

        CollectionAssert.AreEquivalent(
            drawn.Split(' '),
            page.Descendants("figure").Select(figure => figure.Attribute("id")!.Value).ToArray());
        Assert.Contains(reason, page.Value);
    }

    [TestMethod]
    public void TrialsWithoutAParameterAreCountedWhereTheyAreNotDrawn()
    {
        SweepReport report = Sweeps["mixed"];
        int without = report.Trials.Count(trial => !trial.TrialSettings.Parameters.ContainsKey("Gamma"));
        Assert.AreNotEqual(0, without);

        Assert.Contains(FormattableString.Invariant($"Not drawn: {without} trials whose method has no γ or no rank."), Page(report).Value);
    }

    /// <summary>Of 16 trials in the plot of γ and rank: their numbers, each once.</summary>
    [TestMethod]
    public void TheHeatMapNumbersEveryTrial()
    {
        XElement plot = Page(Sweeps["sixteen"]).Descendants("figure").Single(figure => figure.Attribute("id")!.Value == "gamma-rank");
        string[] labels = ["1e-5", "1e-4", "1e-3", "0.01", "4", "8", "16", "32", "64"];

        foreach (XElement drawing in plot.Descendants(Svg + "svg"))
        {
            string[] texts = [.. drawing.Descendants(Svg + "text").Select(text => text.Value)];

            IEnumerable<string> numbers = Enumerable.Range(1, 16).Select(number => number.ToString(CultureInfo.InvariantCulture));
            foreach (string number in numbers.Concat(labels).Distinct(StringComparer.Ordinal))
            {
                bool isTrial = int.TryParse(number, CultureInfo.InvariantCulture, out int trial) && trial is >= 1 and <= 16;
                int expected = (labels.Contains(number) ? 1 : 0) + (isTrial ? 1 : 0);
                Assert.AreEqual(expected, texts.Count(text => text == number), number);
            }
        }
    }

    [TestMethod]
    public void AFileAppearsWholeAndReplacesAnother()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("report.html");
        File.WriteAllText(path, "old");

        Result(Sweeps["sixteen"]).SaveReport(path);

        Assert.AreEqual(Text(Sweeps["sixteen"]), File.ReadAllText(path));
        Assert.HasCount(1, Directory.GetFileSystemEntries(folder.Path));
    }

    [TestMethod]
    public void AFolderThatIsNotThereIsNamed()
    {
        using var folder = new TemporaryFolder();

        var error = Assert.ThrowsExactly<DirectoryNotFoundException>(
            () => Result(Sweeps["one"]).SaveReport(folder.File("missing", "report.html")));

        Assert.Contains(folder.File("missing"), error.Message);
        Assert.ThrowsExactly<ArgumentException>(() => Result(Sweeps["one"]).SaveReport(" "));
    }

    /// <summary>Of a sweep that trained nothing.</summary>
    private static ExperimentResult Result(SweepReport report) =>
        new(report.History, report.Space, model: null!, SweepMetric.ValidationLoss, report.Shared, report.StoppedByTime, report.Origin);

    /// <summary>A sweep of the paper's space with its trials changed.</summary>
    private static SweepReport Paper(int trials, Func<TrialResult, int, TrialResult> change) =>
        SweepsReportData.Report(SorsaSearchSpace.Paper(), [.. SweepsReportData.Trials(SorsaSearchSpace.Paper(), trials).Select(change)]);

    private static string Text(SweepReport report)
    {
        using var stream = new MemoryStream();
        ReportPage.Write(report, stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static XElement Page(SweepReport report) => XDocument.Parse(Text(report)).Root!;
}
