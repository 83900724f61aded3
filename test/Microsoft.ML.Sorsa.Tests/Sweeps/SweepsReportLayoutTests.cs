using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Sweeps.Report;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>The report on a phone, in the dark, and what a reader finds on it.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed partial class SweepsReportLayoutTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    private static readonly SorsaSearchSpace s_six = new()
    {
        ["Gamma"] = new UniformDoubleOption(1e-5, 1e-2, logBase: true),
        ["Rank"] = new UniformIntOption(4, 64, logBase: true),
        ["LearningRate"] = new UniformDoubleOption(1e-4, 5e-3, logBase: true),
        ["WarmupRatio"] = new UniformDoubleOption(0, 0.1),
        ["WeightDecay"] = new UniformDoubleOption(0, 0.123456),
        ["BatchSize"] = new ChoiceOption(4, 8, 16),
    };

    public static IEnumerable<object[]> Spaces => [["paper", 16], ["paper", 60], ["six", 40]];

    /// <summary>A phone is 360 to 430 wide: a drawing for it is no wider, or is scrolled by itself.</summary>
    [TestMethod]
    [DynamicData(nameof(Spaces))]
    public void EveryFigureHasADrawingForAPhone(string space, int trials)
    {
        foreach (XElement figure in Page(Report(space, trials)).Descendants("figure"))
        {
            XElement[] drawings = [.. figure.Descendants(Svg + "svg")];
            Assert.AreEqual("desk phone", string.Join(' ', drawings.Select(drawing => drawing.Attribute("class")!.Value)));
            foreach (XElement drawing in drawings)
            {
                double[] box = [.. drawing.Attribute("viewBox")!.Value.Split(' ').Select(Pixels)];
                Assert.AreEqual(box[2], Pixels(drawing.Attribute("width")!.Value));
                bool isScrolled = drawing.Ancestors("div").First().Attribute("class")!.Value == "scroll"
                    && figure.Attribute("class")?.Value == "wide";
                Assert.IsTrue(drawing.Attribute("class")!.Value == "desk" || box[2] <= 360 || isScrolled, figure.Attribute("id")!.Value);
            }

            // Letters are as large as on a desk: nothing is shrunk.
            Assert.IsGreaterThanOrEqualTo(
                10.0, drawings[1].Descendants(Svg + "text").Min(text => Pixels(text.Attribute("font-size")!.Value)));
        }
    }

    [TestMethod]
    public void ThePageIsMadeForPhonesAndForTheDark()
    {
        XElement page = Page(Report("paper", 16));
        string style = page.Descendants("style").Single().Value;
        string Meta(string name) =>
            page.Descendants("meta").Single(meta => meta.Attribute("name")?.Value == name).Attribute("content")!.Value;

        Assert.AreEqual("width=device-width, initial-scale=1", Meta("viewport"));
        Assert.AreEqual("light dark", Meta("color-scheme"));
        Assert.Contains("color-scheme: light dark", style);
        Assert.MatchesRegex(PhoneRule(), style);

        // Every colour of the page is one of the two sets.
        Match dark = DarkRule().Match(style);
        Assert.IsTrue(dark.Success);
        string[] light = [.. ColorName().Matches(style[..dark.Index]).Select(match => match.Value).Distinct()];
        CollectionAssert.AreEquivalent(light, ColorName().Matches(dark.Value).Select(match => match.Value).Distinct().ToArray());
        string rest = style[(dark.Index + dark.Length)..];
        Assert.DoesNotContain("#", rest, "A colour that does not change with the scheme.");
    }

    /// <summary>Read with the formula of WCAG 2: at least 4.5 to 1 for every text on the page's ground, in both schemes.</summary>
    [TestMethod]
    public void TextsStandOutFromTheGround()
    {
        string style = Page(Report("paper", 16)).Descendants("style").Single().Value;
        Match dark = DarkRule().Match(style);
        foreach (string scheme in new[] { style[..dark.Index], dark.Value })
        {
            Dictionary<string, string> colors = Color().Matches(scheme)
                .ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value);
            foreach (string ink in new[] { "ink", "quiet", "pruned", "failed" })
            {
                Assert.IsGreaterThanOrEqualTo(4.5, Contrast(colors[ink], colors["ground"]), ink);
            }

            Assert.IsGreaterThanOrEqualTo(4.5, Contrast(colors["ink"], colors["best"]));
            Assert.IsGreaterThanOrEqualTo(4.5, Contrast(colors["ink"], colors["code"]));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Spaces))]
    public void NoNumberHasMoreThanFourDigitsThatCount(string space, int trials)
    {
        XElement page = Page(Report(space, trials));
        IEnumerable<string> texts = page.Descendants()
            .Where(element => !element.HasElements && element.Name.LocalName is not ("style" or "dd"))
            .Select(element => element.Value)
            .Concat(page.Descendants("p").Select(paragraph => paragraph.Value));
        string[] long_ =
        [
            .. texts.SelectMany(text => Number().Matches(text)).Select(match => match.Value)
                .Where(number => Digits(number) > 4).Distinct(),
        ];

        Assert.IsEmpty(long_, string.Join(" ", long_));
    }

    [TestMethod]
    [DataRow(0.000412345, "4.123e-4")]
    [DataRow(0.0099999, "1e-2")]
    [DataRow(0.0123456, "0.01235")]
    [DataRow(1.382714, "1.383")]
    [DataRow(-1.382714, "-1.383")]
    [DataRow(12345.6, "12350")]
    [DataRow(99999.9, "100000")]
    [DataRow(123456, "1.235e5")]
    [DataRow(64, "64")]
    [DataRow(0, "0")]
    public void ANumberIsShort(double number, string text) => Assert.AreEqual(text, NumberText.Of(number));

    [TestMethod]
    public void TheHeadSaysWhatTheSweepWasMadeOf()
    {
        SweepReport report = Report("paper", 16);
        XElement list = Page(report).Descendants("dl").Single();
        Dictionary<string, string> facts = list.Elements("dt").Zip(list.Elements("dd"))
            .ToDictionary(pair => pair.First.Value, pair => pair.Second.Value);

        Assert.AreEqual("my-llama (0123456789ab)", facts["Model"]);
        Assert.AreEqual("1100 rows to train on, 100 to compare by (fedcba987654)", facts["Data"]);
        Assert.AreEqual("Sorsa", facts["Method"]);
        Assert.AreEqual("7 of the sweep, 3 of the trainings", facts["Seed"]);
        Assert.AreEqual("2026-11-26 20:16 UTC", facts["Begun"]);
        Assert.AreEqual("Microsoft.ML.Sorsa 0.2.0", facts["Version"]);
        var methods = new SorsaSearchSpace { ["Method"] = new ChoiceOption(FineTuningMethod.Sorsa, FineTuningMethod.Lora) };
        Assert.Contains("varied, choice of Sorsa | Lora", Page(report with { Space = methods }).Descendants("dl").Single().Value);
        SweepReport old = report with { Origin = report.Origin with { Begun = null } };
        Assert.Contains("unknown: the study does not say", Page(old).Descendants("dl").Single().Value);
    }

    private static SweepReport Report(string space, int trials)
    {
        SorsaSearchSpace options = space == "paper" ? SorsaSearchSpace.Paper() : s_six;
        return SweepsReportData.Report(options, SweepsReportData.Trials(options, trials));
    }

    private static XElement Page(SweepReport report)
    {
        using var stream = new MemoryStream();
        ReportPage.Write(report, stream);
        return XDocument.Parse(Encoding.UTF8.GetString(stream.ToArray())).Root!;
    }

    /// <summary>Digits from the first that is no 0 to the last that is none, without an exponent; whole numbers are exact.</summary>
    private static int Digits(string number) =>
        !number.Contains('.', StringComparison.Ordinal) ? 0 : number.Split('e')[0].Replace(".", "").Trim('0').Length;

    private static double Pixels(string text) => double.Parse(text.Replace("px", ""), CultureInfo.InvariantCulture);

    private static double Contrast(string one, string other)
    {
        double[] lights = [.. new[] { Luminance(one), Luminance(other) }.Order()];
        return (lights[1] + 0.05) / (lights[0] + 0.05);
    }

    private static double Luminance(string color)
    {
        double[] linear =
        [
            .. Enumerable.Range(0, 3)
                .Select(i => int.Parse(color.AsSpan(2 * i, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture) / 255.0)
                .Select(value => value <= 0.03928 ? value / 12.92 : Math.Pow((value + 0.055) / 1.055, 2.4)),
        ];
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    }

    [GeneratedRegex(@"[0-9]+(\.[0-9]+)?(e-?[0-9]+)?")]
    private static partial Regex Number();

    [GeneratedRegex(@"--[a-z]+(?=:)")]
    private static partial Regex ColorName();

    [GeneratedRegex(@"--([a-z]+): #([0-9a-f]{6})")]
    private static partial Regex Color();

    [GeneratedRegex(@"@media screen and \(prefers-color-scheme: dark\) \{.*?\n\}", RegexOptions.Singleline)]
    private static partial Regex DarkRule();

    [GeneratedRegex(@"@media screen and \(max-width: 640px\) \{[^@]*svg\.desk \{ display: none; \}[^@]*svg\.phone \{ display: block; \}")]
    private static partial Regex PhoneRule();
}
