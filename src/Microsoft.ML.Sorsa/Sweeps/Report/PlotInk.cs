using System.Globalization;
using OxyPlot;
using OxyPlot.Annotations;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>Colours, an empty plot, and words on it.</summary>
internal static class PlotInk
{
    public const string Font = "Arial";

    public static readonly OxyColor Text = OxyColor.FromRgb(0x33, 0x3a, 0x44), Grid = OxyColor.FromRgb(0xe8, 0xea, 0xed), Axis = OxyColor.FromRgb(0x8a, 0x92, 0x9c),
        Pruned = OxyColor.FromRgb(0xb4, 0xb9, 0xc0), Failed = OxyColor.FromRgb(0xd5, 0x5e, 0x00), Best = OxyColor.FromRgb(0xc2, 0x18, 0x5b);

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
