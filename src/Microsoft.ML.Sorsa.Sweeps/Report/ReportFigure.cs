using System.Globalization;
using System.Xml.Linq;
using OxyPlot;
using OxyPlot.Annotations;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>A plot with its heading, or the reason why there is none.</summary>
/// <param name="Name">A word, its identity on the page.</param>
/// <param name="Title">The heading.</param>
/// <param name="Note">How to read it, and what is not in it; or why it is left out.</param>
/// <param name="Plot">Null: left out.</param>
/// <param name="IsWide">Takes the page's whole width.</param>
internal sealed record ReportFigure(string Name, string Title, string Note, PlotModel? Plot, bool IsWide = false)
{
    public const double Height = 400;

    private const double NarrowWidth = 568, FullWidth = 1160;

    public double Width => IsWide ? FullWidth : NarrowWidth;

    public static ReportFigure LeftOut(string name, string title, string reason) => new(name, title, "Left out: " + reason, null);
}

/// <summary>Colours, an empty plot, and words on it.</summary>
internal static class PlotInk
{
    public const string Font = "Arial";

    public static readonly OxyColor Text = OxyColor.FromRgb(0x33, 0x3a, 0x44), Grid = OxyColor.FromRgb(0xe8, 0xea, 0xed),
        Axis = OxyColor.FromRgb(0x8a, 0x92, 0x9c), Pruned = OxyColor.FromRgb(0xb4, 0xb9, 0xc0),
        Failed = OxyColor.FromRgb(0xd5, 0x5e, 0x00), Best = OxyColor.FromRgb(0xc2, 0x18, 0x5b);

    /// <summary>The margins are fixed: no text is measured to place the axes, so that fonts of the machine do not matter.</summary>
    public static PlotModel Empty(double left, double top, double right, double bottom) => new()
    {
        Culture = CultureInfo.InvariantCulture,
        DefaultFont = Font,
        DefaultFontSize = 12,
        TextColor = Text,
        PlotAreaBorderColor = Axis,
        PlotAreaBorderThickness = new OxyThickness(0),
        Padding = new OxyThickness(0),
        PlotMargins = new OxyThickness(left, top, right, bottom),
        IsLegendVisible = false,
    };

    /// <summary>Words at a point, so many pixels to its right.</summary>
    public static TextAnnotation Label(string text, double x, double y, HorizontalAlignment alignment, double offset = 0) => new()
    {
        Text = text,
        TextPosition = new DataPoint(x, y),
        TextHorizontalAlignment = alignment,
        TextVerticalAlignment = VerticalAlignment.Middle,
        Offset = new ScreenVector(offset, 0),
        StrokeThickness = 0,
    };
}

/// <summary>Plots as elements of a page.</summary>
internal static class PlotSvg
{
    /// <summary>
    /// OxyPlot counts its clip paths from 1 in every plot, and a page has one name space for all: they get the figure's name. With a view
    /// box the plot shrinks with the page.
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

        svg.Attributes().Where(attribute => attribute.IsNamespaceDeclaration && attribute.Name.LocalName == "xlink").Remove();

        svg.SetAttributeValue("viewBox", FormattableString.Invariant($"0 0 {figure.Width} {ReportFigure.Height}"));
        svg.SetAttributeValue("role", "img");
        svg.SetAttributeValue("aria-label", figure.Title);
        return svg;
    }
}
