using System.Xml.Linq;
using OxyPlot;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>Plots as elements of a page.</summary>
internal static class PlotSvg
{
    /// <summary>
    /// OxyPlot counts its clip paths from 1 in every plot, and a page has one name space for all: they get the figure's name. With a view box the plot shrinks with the page.
    /// </summary>
    public static XElement Of(ReportFigure figure, PlotModel plot)
    {
        XElement svg = XElement.Parse(SvgExporter.ExportToString(plot, figure.Width, ReportFigure.Height, isDocument: false));
        foreach (XAttribute id in svg.Descendants().Attributes("id"))
        {
            id.Value = $"{figure.Name}-{id.Value}";
        }

        foreach (XAttribute clip in svg.Descendants().Attributes("clip-path"))
        {
            clip.Value = clip.Value.Replace("url(#", $"url(#{figure.Name}-", StringComparison.Ordinal);
        }

        foreach (XAttribute xlink in svg.Attributes().Where(attribute => attribute.IsNamespaceDeclaration && attribute.Name.LocalName == "xlink").ToArray())
        {
            xlink.Remove();
        }

        svg.SetAttributeValue("viewBox", FormattableString.Invariant($"0 0 {figure.Width} {ReportFigure.Height}"));
        svg.SetAttributeValue("role", "img");
        svg.SetAttributeValue("aria-label", figure.Title);
        return svg;
    }
}
