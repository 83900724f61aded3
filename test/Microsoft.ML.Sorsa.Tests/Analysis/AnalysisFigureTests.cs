using System.Globalization;
using System.Xml.Linq;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Analysis;

/// <summary>ΔD against ΔΣ as a drawing, and the page around it.</summary>
[TestClass]
[TestCategory("Analysis")]
public sealed class AnalysisFigureTests
{
    private const string Blue = "#0072b2", Purple = "#5e3c99";

    private static readonly string[] s_modules = ["q_proj", "down_proj"];

    private static readonly XNamespace s_svg = "http://www.w3.org/2000/svg";

    /// <summary>Two kinds in three layers over four steps: six lines of five points, each with its layer's number at the end.</summary>
    [TestMethod]
    public void EveryMatrixIsALineWithItsLayerAtTheEnd()
    {
        XElement svg = XElement.Parse(AnalysisFigure.ToSvg(Training(layers: 3, steps: 4), "SORSA, γ = 4e-4"));

        XElement[] lines = [.. Lines(svg)];
        Assert.HasCount(6, lines);
        foreach (XElement line in lines)
        {
            Assert.HasCount(5, line.Attribute("points")!.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        }

        string[] texts = [.. svg.Descendants(s_svg + "text").Select(text => text.Value)];
        Assert.AreEqual("0 0 1 1 2 2", string.Join(' ', Circled(svg).Order()));
        foreach (string expected in new[] { "q_proj", "down_proj", "number: layer", "SORSA, γ = 4e-4" })
        {
            Assert.Contains(expected, texts);
        }

        Assert.AreEqual("SORSA, γ = 4e-4", svg.Attribute("aria-label")!.Value);
        string[] swatches = [.. svg.Elements(s_svg + "rect").Select(rect => rect.Attribute("fill")!.Value)];
        CollectionAssert.IsSubsetOf(new[] { Blue, Purple }, swatches);
    }

    /// <summary>The end of a line lies where the axes say: with twice the axes half as far from the corner.</summary>
    [TestMethod]
    public void AxesMayBeTheSameForSeveralFigures()
    {
        SorsaAnalysis analysis = Training(layers: 1, steps: 2);
        double x = analysis.Matrices.Max(row => row.SingularValueChange), y = analysis.Matrices.Max(row => row.SingularVectorChange);

        (double X, double Y)[] own = Farthest(null), same = Farthest((x, y)), wide = Farthest((2 * x, 2 * y));

        CollectionAssert.AreEqual(own, same);
        Assert.AreEqual(own[0].X, wide[0].X, 0.1);
        Assert.AreEqual((own[^1].X - own[0].X) / 2, wide[^1].X - wide[0].X, 0.1);
        Assert.AreEqual((own[^1].Y - own[0].Y) / 2, wide[^1].Y - wide[0].Y, 0.1);

        // From the start to the end of the line that goes farthest.
        (double X, double Y)[] Farthest((double, double)? axes) =>
        [
            .. Lines(XElement.Parse(AnalysisFigure.ToSvg(analysis, "x", axes)))
                .Select(line => line.Attribute("points")!.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries)
                    .Select(point => point.Split(',').Select(text => double.Parse(text, CultureInfo.InvariantCulture)).ToArray())
                    .Select(point => (point[0], point[1])).ToArray())
                .MaxBy(points => points[^1].Item1)!,
        ];
    }

    [TestMethod]
    public void ManyLayersAreShadesInsteadOfNumbers()
    {
        string[] texts = [.. XElement.Parse(AnalysisFigure.ToSvg(Training(layers: 30, steps: 2), "many"))
            .Descendants(s_svg + "text").Select(text => text.Value)];

        Assert.Contains("faint to strong: layer 0 to 29", texts);
        Assert.DoesNotContain("number: layer", texts);
    }

    [TestMethod]
    public void OneStepIsMarksWithoutLines()
    {
        XElement svg = XElement.Parse(AnalysisFigure.ToSvg(Training(layers: 3, steps: 1), "one"));

        Assert.IsEmpty(Lines(svg));
        Assert.HasCount(6, Circled(svg));
    }

    /// <summary>Nothing moved, names that are no words, no layer: still a drawing.</summary>
    [TestMethod]
    public void OddAnalysesAreDrawn()
    {
        SorsaAnalysis still = new([.. Training(layers: 2, steps: 2).Matrices.Select(
            row => row with { SingularValueChange = 0, SingularVectorChange = 0, Path = $"<&\"\u0001{row.Module}" })]);

        XElement svg = XElement.Parse(AnalysisFigure.ToSvg(still, "<&\"\u0001é", width: 280, height: 280));

        Assert.AreEqual("<&\"\uFFFDé", svg.Attribute("aria-label")!.Value);
        Assert.DoesNotContain("NaN", svg.ToString());
        Assert.HasCount(2, Lines(svg));
    }

    [TestMethod]
    public void IdentitiesOfTwoFiguresOnAPageAreApart()
    {
        SorsaAnalysis analysis = Training(layers: 1, steps: 2);

        string[] Ids(string title) =>
            [.. XElement.Parse(AnalysisFigure.ToSvg(analysis, title)).Descendants().Attributes("id").Select(id => id.Value)];

        Assert.IsNotEmpty(Ids("γ = 0"));
        Assert.IsEmpty(Ids("γ = 0").Intersect(Ids("β = 0")));
    }

    [TestMethod]
    public void ThePageHasAFigureForEveryScreenAndTheMeans()
    {
        using var folder = new TemporaryFolder();
        SorsaAnalysis analysis = Training(layers: 2, steps: 3);
        analysis.SaveReport(folder.File("one.html"), "Two layers");
        analysis.SaveReport(folder.File("two.html"), "Two layers");

        string text = File.ReadAllText(folder.File("one.html"));
        XElement page = XDocument.Parse(text).Root!;

        Assert.AreEqual(text, File.ReadAllText(folder.File("two.html")));
        Assert.AreEqual("desk phone", string.Join(' ', page.Descendants(s_svg + "svg").Select(svg => svg.Attribute("class")!.Value)));
        Assert.IsLessThanOrEqualTo(360, double.Parse(
            page.Descendants(s_svg + "svg").Last().Attribute("width")!.Value, CultureInfo.InvariantCulture));
        Assert.IsEmpty(page.Descendants("script"));
        XElement[] tables = [.. page.Descendants("tbody")];
        Assert.AreEqual("10 20 30", string.Join(' ', tables[0].Elements("tr").Select(row => row.Elements("td").First().Value)));
        Assert.AreEqual("q_proj down_proj", string.Join(' ', tables[1].Elements("tr").Select(row => row.Elements("td").First().Value)));

        // ΔΣ of q_proj at step 30 in layers 0 and 1 is 0.03 and 0.06.
        XElement[] cells = [.. tables[1].Elements("tr").First().Elements("td")];
        Assert.AreEqual("2 0.045", $"{cells[1].Value} {cells[2].Value}");
    }

    [TestMethod]
    public void WhatCannotBeDrawnIsRefused()
    {
        SorsaAnalysis analysis = Training(layers: 1, steps: 1), empty = new([]);

        Assert.Contains("no rows", Assert.ThrowsExactly<ArgumentException>(() => AnalysisFigure.ToSvg(empty, "x")).Message);
        Assert.Contains("no rows", Assert.ThrowsExactly<ArgumentException>(() => empty.SaveReport("x.html")).Message);
        Assert.ThrowsExactly<ArgumentException>(() => AnalysisFigure.ToSvg(analysis, " "));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => AnalysisFigure.ToSvg(analysis, "x", width: 279));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => AnalysisFigure.ToSvg(analysis, "x", height: 279));
        foreach ((double, double) axes in new (double, double)[] { (0, 1), (1, -1), (double.NaN, 1), (1, double.PositiveInfinity) })
        {
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => AnalysisFigure.ToSvg(analysis, "x", axes));
        }
    }

    private static IEnumerable<XElement> Lines(XElement svg) => svg.Descendants(s_svg + "polyline")
        .Where(line => line.Ancestors(s_svg + "g").Any() && line.Attribute("stroke-width")?.Value == "1.2"
            || line.Attribute("style")?.Value.Contains("stroke-width:1.2", StringComparison.Ordinal) == true);

    /// <summary>The numbers in marks: of the letters of this size.</summary>
    private static IEnumerable<string> Circled(XElement svg) => svg.Descendants(s_svg + "text")
        .Where(text => text.Attribute("font-size")?.Value == "10").Select(text => text.Value.Trim());

    private static SorsaAnalysis Training(int layers, int steps) => new(
    [
        .. from step in Enumerable.Range(1, steps)
           from layer in Enumerable.Range(0, layers)
           from module in s_modules
           select new MatrixAnalysis
           {
               Step = step * 10,
               Path = $"model.layers.{layer}.part.{module}",
               SingularValueChange = 0.01 * step * (layer + 1) * (module == "q_proj" ? 1 : 0.7),
               SingularVectorChange = Math.Min(1, 0.05 * step * Math.Sqrt(layer + 1) * (module == "q_proj" ? 0.5 : 1)),
               Orthonormality = 1e-3 * step,
               EffectiveRank = 4,
               IntruderDimensions = 1,
           },
    ]);
}
