using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace ReproducePaper.Report;

/// <summary>
/// The report: one HTML file that is well-formed XML too, without a script, and with nothing in it that comes from elsewhere. The same
/// results, the same bytes.
/// </summary>
internal static class ReportPage
{
    // No character that XML would escape: browsers read a style as it is.
    private const string Style = """

        :root { color-scheme: light dark; --ink: #1f2630; --ground: #ffffff; --quiet: #5a6370; --line: #d9dde2; --yes: #1e8449;
            --no: #b34f00; }
        @media screen and (prefers-color-scheme: dark) {
            :root { --ink: #e4e8ec; --ground: #000000; --quiet: #aab3bd; --line: #333b45; --yes: #7ddc9a; --no: #ffab66; }
            svg { filter: invert(1) hue-rotate(180deg); }
        }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 1200px; padding: 24px 20px 48px; color: var(--ink); background: var(--ground);
            font: 15px/1.5 Arial, Helvetica, sans-serif; }
        h1 { margin: 0 0 8px; font-size: 26px; }
        h2 { margin: 36px 0 4px; font-size: 19px; }
        h3 { margin: 10px 0 2px; font-size: 14px; }
        p, ul { margin: 0 0 10px; max-width: 1000px; overflow-wrap: anywhere; }
        .panels { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 24px; margin: 10px 0; }
        .panels div { min-width: 0; }
        svg { display: block; max-width: 100%; height: auto; }
        svg.phone { display: none; }
        svg text { font-family: Arial, Helvetica, sans-serif; }
        .legend { display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0; list-style: none; font-size: 13px; }
        .legend li { display: flex; align-items: center; gap: 6px; }
        .claims { padding-left: 20px; font-size: 14px; }
        .claims small { color: var(--quiet); font-size: 13px; }
        .Supports { color: var(--yes); font-weight: bold; }
        .Contradicts { color: var(--no); font-weight: bold; }
        .CannotTell { color: var(--quiet); font-weight: bold; }
        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; font-size: 13px; }
        th { padding: 6px 10px; border-bottom: 2px solid var(--quiet); text-align: right; vertical-align: bottom; }
        td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: right; font-variant-numeric: tabular-nums;
            white-space: nowrap; }
        th:first-child, td:first-child, .left th, .left td { text-align: left; white-space: pre; }
        @media (max-width: 900px) { .panels { grid-template-columns: minmax(0, 1fr); } }
        @media screen and (max-width: 640px) {
            body { padding: 16px 12px 32px; }
            h1 { font-size: 21px; }
            svg.desk { display: none; }
            svg.phone { display: block; }
            th, td { padding: 4px 7px; }
        }
        @media print { .panels div, tr { break-inside: avoid; } }

        """;

    public static string Of(StudyResults results)
    {
        ReportFigure[] figures =
        [
            .. new[]
            {
                ForgettingFigure.Of(results), MatrixFigures.OfSteps(results), CurveFigures.OfGamma(results),
                CurveFigures.OfMethods(results), MatrixFigures.OfModules(results),
            }.OfType<ReportFigure>(),
        ];
        Claim[] table = [.. PaperClaims.OfTable1(results)];
        var page = new XDocument(
            new XDocumentType("html", null, null, null),
            new XElement("html", new XAttribute("lang", "en"),
                new XElement("head",
                    new XElement("meta", new XAttribute("charset", "utf-8")),
                    new XElement("meta", new XAttribute("name", "viewport"),
                        new XAttribute("content", "width=device-width, initial-scale=1")),
                    new XElement("meta", new XAttribute("name", "color-scheme"), new XAttribute("content", "light dark")),
                    new XElement("title", "SORSA: the paper's experiments"),
                    new XElement("style", Style.ReplaceLineEndings("\n"))),
                new XElement("body",
                    new XElement("h1", "SORSA: the paper's experiments"),
                    ReportHead.Of(results, PaperClaims.All(results)),
                    Table1.Of(results),
                    Claims(table),
                    RateTable.Of(results),
                    figures.Select(Section))));
        var text = new StringBuilder();
        using (var writer = XmlWriter.Create(text, new XmlWriterSettings { OmitXmlDeclaration = true, Indent = true, NewLineChars = "\n" }))
        {
            page.Save(writer);
        }

        return text.ToString();
    }

    private static XElement Section(ReportFigure figure) => new("section",
        new XAttribute("id", figure.Id),
        new XElement("h2", figure.Title),
        new XElement("p", figure.Shows),
        figure.Legend,
        new XElement("div", new XAttribute("class", "panels"), figure.Panels.Select(panel => new XElement(
            "div", panel.Caption.Length == 0 ? null : new XElement("h3", panel.Caption), panel.Drawings))),
        Claims(figure.Claims));

    private static XElement? Claims(IReadOnlyList<Claim> claims) => claims.Count == 0 ? null : new XElement(
        "ul", new XAttribute("class", "claims"), claims.Select(claim => new XElement("li",
            claim.Text + " ", new XElement("span", new XAttribute("class", claim.Verdict), $"({claim.VerdictText})"), " ",
            new XElement("small", claim.Evidence))));
}
