using System.Xml;
using System.Xml.Linq;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>The page: one HTML file that is well-formed XML too, without a script, and with nothing in it that comes from elsewhere.</summary>
internal static class ReportPage
{
    // No character that XML would escape: browsers read a style as it is.
    private const string Style = """

        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 1200px; padding: 24px 20px 48px; color: #1f2630; background: #ffffff; font: 15px/1.5 Arial, Helvetica, sans-serif; }
        h1 { margin: 0 0 8px; font-size: 26px; }
        h2 { margin: 0 0 2px; font-size: 17px; }
        p { margin: 0 0 12px; max-width: 1000px; }
        code { display: inline-block; max-width: 100%; padding: 1px 4px; border-radius: 3px; background: #eef1f4; font: 13px Menlo, Consolas, monospace; overflow-wrap: anywhere; }
        .figures { display: grid; grid-template-columns: 1fr 1fr; grid-auto-flow: dense; gap: 28px 24px; margin: 24px 0; }
        figure { margin: 0; min-width: 0; }
        figure.wide { grid-column: 1 / -1; }
        figcaption p { margin: 0 0 6px; color: #5a6370; font-size: 12.5px; line-height: 1.4; }
        svg { display: block; max-width: 100%; height: auto; }
        svg text { font-family: Arial, Helvetica, sans-serif; }
        .scroll { overflow-x: auto; }
        table { width: 100%; border-collapse: collapse; font-size: 13px; }
        th { padding: 6px 10px; border-bottom: 2px solid #8a929c; text-align: left; vertical-align: bottom; }
        td { padding: 4px 10px; border-bottom: 1px solid #e8eaed; vertical-align: top; }
        td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
        td.value { font-family: Menlo, Consolas, monospace; font-size: 12px; overflow-wrap: anywhere; }
        tr.best td { background: #fce8f0; font-weight: bold; }
        tr.pruned td { color: #7a828c; }
        tr.failed td, tr.error td { color: #b34f00; }
        tr.error td { font-size: 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
        @media (max-width: 900px) { .figures { grid-template-columns: 1fr; } }
        @media print { figure, tr { break-inside: avoid; } }

        """;

    /// <summary>The same trials, the same bytes: no date, no drawn names, no culture.</summary>
    public static void Write(SweepReport report, Stream stream)
    {
        string title = $"SORSA sweep: {PlainText.Of(report.MetricName)}";
        ReportFigure[] figures = [GammaRankFigure.Of(report), CurvesFigure.Of(report), ParallelFigure.Of(report), OrthonormalityFigure.Of(report), ImportanceFigure.Of(report)];
        var page = new XDocument(
            new XDocumentType("html", null, null, null),
            new XElement("html", new XAttribute("lang", "en"),
                new XElement("head",
                    new XElement("meta", new XAttribute("charset", "utf-8")),
                    new XElement("meta", new XAttribute("name", "viewport"), new XAttribute("content", "width=device-width, initial-scale=1")),
                    new XElement("title", title),
                    new XElement("style", Style.ReplaceLineEndings("\n"))),
                new XElement("body",
                    new XElement("h1", title),
                    ReportSummary.Of(report),
                    new XElement("div", new XAttribute("class", "figures"), figures.Where(figure => figure.Plot is not null).Select(Figure)),
                    figures.Where(figure => figure.Plot is null).Select(figure => new XElement("p", new XElement("strong", figure.Title), ". " + PlainText.Of(figure.Note))),
                    new XElement("h2", "All trials"),
                    new XElement("div", new XAttribute("class", "scroll"), TrialTable.Of(report)))));
        using var writer = XmlWriter.Create(stream, new XmlWriterSettings { OmitXmlDeclaration = true, Indent = true, NewLineChars = "\n", Encoding = new System.Text.UTF8Encoding(false) });
        page.Save(writer);
    }

    private static XElement Figure(ReportFigure figure) => new("figure",
        new XAttribute("id", figure.Name),
        figure.IsWide ? new XAttribute("class", "wide") : null,
        new XElement("figcaption", new XElement("h2", figure.Title), new XElement("p", PlainText.Of(figure.Note))),
        PlotSvg.Of(figure, figure.Plot!));
}
