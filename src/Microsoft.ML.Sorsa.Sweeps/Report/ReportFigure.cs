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
/// <param name="Axes">Of a plot that takes the page's whole width, how many axes stand side by side; 0 for others.</param>
internal sealed record ReportFigure(string Name, string Title, string Note, PlotModel? Plot, int Axes = 0)
{
    private static readonly PlotSize s_half = new("desk", 568, 400), s_whole = new("desk", 1160, 400), s_phone = new("phone", 350, 340);

    /// <summary>Narrower, the labels of two axes side by side touch.</summary>
    private const double AxisWidth = 116;

    public bool IsWide => Axes > 0;

    /// <summary>
    /// The sizes that the plot is drawn in; the page shows the one that fits. Letters of a plot that is shrunk to a phone's width cannot be
    /// read, so that a phone has a drawing of its own.
    /// </summary>
    public IReadOnlyList<PlotSize> Sizes =>
        [IsWide ? s_whole : s_half, s_phone with { Width = Math.Max(s_phone.Width, Axes * AxisWidth) }];

    public static ReportFigure LeftOut(string name, string title, string reason) => new(name, title, "Left out: " + reason, null);
}

/// <summary>A drawing of a plot.</summary>
/// <param name="Screen">For which it is; the class that the page's style knows.</param>
/// <param name="Width">In pixels.</param>
/// <param name="Height">In pixels.</param>
internal sealed record PlotSize(string Screen, double Width, double Height);

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
    /// OxyPlot counts its clip paths from 1 in every plot, and a page has one name space for all: they get the figure's name and the
    /// screen's. With a view box the plot shrinks with the page.
    /// </summary>
    public static XElement Of(ReportFigure figure, PlotModel plot, PlotSize size)
    {
        XElement svg = XElement.Parse(SvgExporter.ExportToString(plot, size.Width, size.Height, isDocument: false));
        foreach (XAttribute id in svg.Descendants().Attributes("id"))
        {
            id.Value = $"{figure.Name}-{size.Screen}-{id.Value}";
        }

        foreach (XAttribute clip in svg.Descendants().Attributes("clip-path"))
        {
            clip.Value = clip.Value.Replace("url(#", $"url(#{figure.Name}-{size.Screen}-", StringComparison.Ordinal);
        }

        svg.Attributes().Where(attribute => attribute.IsNamespaceDeclaration && attribute.Name.LocalName == "xlink").Remove();

        svg.SetAttributeValue("viewBox", FormattableString.Invariant($"0 0 {size.Width} {size.Height}"));
        svg.SetAttributeValue("class", size.Screen);
        svg.SetAttributeValue("role", "img");
        svg.SetAttributeValue("aria-label", figure.Title);
        return svg;
    }
}
