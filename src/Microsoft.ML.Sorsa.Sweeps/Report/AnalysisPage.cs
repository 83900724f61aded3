using System.Globalization;
using System.Xml.Linq;
using Microsoft.ML.Sorsa.Analysis;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>An analysis as a page: the figure, then its numbers by step, and by kind of matrix at the last one.</summary>
internal static class AnalysisPage
{
    private static readonly string[] s_numbers =
        ["Matrices", "ΔΣ", "ΔD", "Orthonormality", "Effective rank", "Intruders"];

    private static readonly PlotSize[] s_sizes = [new("desk", 1160, 620), new("phone", 350, 460)];

    public static void Write(SorsaAnalysis analysis, string title, Stream stream)
    {
        int last = analysis.Matrices[^1].Step;
        MatrixAnalysis[] end = [.. analysis.Matrices.Where(row => row.Step == last)];
        ReportPage.Write(
            stream, PlainText.Of(title),
            new XElement("div", new XAttribute("class", "figures"), new XElement("figure", new XAttribute("class", "wide"),
                new XElement(
                    "figcaption", new XElement("h2", "ΔD against ΔΣ"), new XElement("p", AnalysisPlot.Note(analysis))),
                s_sizes.Select(size => AnalysisPlot.Svg(analysis, "ΔD against ΔΣ", isTitled: false, axes: null, size)))),
            new XElement("h2", last == 0 ? "All matrices" : "By step"),
            Table(last == 0 ? "" : "Step", analysis.Matrices.GroupBy(row => row.Step == 0 ? "all" : NumberText.Of(row.Step))),
            new XElement("h2", last == 0 ? "By kind of matrix" : $"By kind of matrix, at step {NumberText.Of(last)}"),
            Table("Matrix", end.GroupBy(row => row.Module, StringComparer.Ordinal)),
            new XElement("p", "Means over the matrices; intruders are the sum. ΔΣ and ΔD: Eq. (1) to (4) of arXiv 2409.00055. "
                + "Orthonormality: ‖UᵀU − I‖ + ‖VᵀV − I‖ of what trains. Effective rank: exp of the entropy of the singular values of "
                + "W_t − W_0. Intruders: leading left singular vectors of W_t that are near none of W_0 (arXiv 2410.21228)."));
    }

    private static XElement Table(string heading, IEnumerable<IGrouping<string, MatrixAnalysis>> groups) => new(
        "div", new XAttribute("class", "scroll"), new XElement("table",
            new XElement("thead", new XElement("tr", s_numbers.Prepend(heading).Select(name => new XElement("th", name)))),
            new XElement("tbody", groups.Select(group => new XElement("tr", Cells(group.Key, [.. group]).Select(text =>
                new XElement("td", new XAttribute("class", "number"), text)))))));

    private static IEnumerable<string> Cells(string name, MatrixAnalysis[] rows) =>
    [
        PlainText.Short(name, 40),
        NumberText.Of(rows.Length),
        NumberText.Of(rows.Average(row => row.SingularValueChange)),
        NumberText.Of(rows.Average(row => row.SingularVectorChange)),
        NumberText.Of(rows.Average(row => row.Orthonormality)),
        rows.Average(row => row.EffectiveRank).ToString("0.0", CultureInfo.InvariantCulture),
        NumberText.Of(rows.Sum(row => row.IntruderDimensions)),
    ];
}
