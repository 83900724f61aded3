using System.Globalization;
using System.Xml.Linq;
using OxyPlot;
using OxyPlot.Axes;

namespace ReproducePaper.Report;

/// <summary>Colours and marks of the methods, and plots as elements of a page.</summary>
internal static class Ink
{
    private static readonly OxyColor s_text = OxyColor.FromRgb(0x33, 0x3a, 0x44), s_grid = OxyColor.FromRgb(0xe8, 0xea, 0xed),
        s_axis = OxyColor.FromRgb(0x8a, 0x92, 0x9c);

    private static readonly (string Color, MarkerType Mark)[] s_marks =
    [
        ("#0072b2", MarkerType.Circle), ("#56b4e9", MarkerType.Triangle), ("#00456e", MarkerType.Diamond), ("#009e73", MarkerType.Square),
        ("#d55e00", MarkerType.Circle), ("#e08a52", MarkerType.Triangle), ("#e69f00", MarkerType.Diamond), ("#cc79a7", MarkerType.Square),
        ("#333a44", MarkerType.Circle), ("#8a929c", MarkerType.Triangle), ("#8c564b", MarkerType.Diamond), ("#7f3fbf", MarkerType.Square),
    ];

    /// <summary>What is drawn on every screen, and in which size.</summary>
    public static IReadOnlyList<(string Screen, double Width, double Height)> Screens { get; } =
        [("desk", 560, 380), ("phone", 350, 320)];

    public static OxyColor ColorOf(int index) => OxyColor.Parse(s_marks[index % s_marks.Length].Color);

    public static MarkerType MarkOf(int index) => s_marks[index % s_marks.Length].Mark;

    public static int IndexOf(StudyMethod method) => StudyMethod.All.Select((one, i) => (one, i)).First(pair => pair.one == method).i;

    /// <summary>The margins are fixed: no text is measured to place the axes, so that fonts of the machine do not matter.</summary>
    public static PlotModel Plot(string across, string up, bool isLogarithmic = false)
    {
        var plot = new PlotModel
        {
            Culture = CultureInfo.InvariantCulture,
            DefaultFont = "Arial",
            DefaultFontSize = 12,
            TextColor = s_text,
            PlotAreaBorderThickness = new OxyThickness(0),
            Padding = new OxyThickness(0),
            PlotMargins = new OxyThickness(66, 10, 14, 46),
            IsLegendVisible = false,
        };
        plot.Axes.Add(Dressed(new LinearAxis(), AxisPosition.Bottom, across));
        plot.Axes.Add(Dressed(isLogarithmic ? new LogarithmicAxis() : new LinearAxis(), AxisPosition.Left, up));
        return plot;
    }

    /// <summary>A plot in every size; the page shows the one that fits. Their clip paths get names of their own.</summary>
    public static IEnumerable<XElement> Svg(string name, string title, PlotModel plot) => Screens.Select(screen =>
    {
        string text = SvgExporter.ExportToString(plot, screen.Width, screen.Height, isDocument: false);
        XElement svg = Named(XElement.Parse(text), $"{name}-{screen.Screen}", title, screen.Width, screen.Height);
        svg.SetAttributeValue("class", screen.Screen);
        return svg;
    });

    /// <summary>A drawing that shrinks with the page, and whose identities are its own.</summary>
    public static XElement Named(XElement svg, string name, string title, double width, double height)
    {
        foreach (XAttribute id in svg.DescendantsAndSelf().Attributes("id"))
        {
            id.Value = $"{name}-{id.Value}";
        }

        foreach (XAttribute clip in svg.Descendants().Attributes("clip-path"))
        {
            clip.Value = clip.Value.Replace("url(#", $"url(#{name}-", StringComparison.Ordinal);
        }

        svg.Attributes().Where(attribute => attribute.IsNamespaceDeclaration && attribute.Name.LocalName == "xlink").Remove();
        svg.SetAttributeValue("viewBox", FormattableString.Invariant($"0 0 {width} {height}"));
        svg.SetAttributeValue("role", "img");
        svg.SetAttributeValue("aria-label", title);
        return svg;
    }

    /// <summary>Names beside the marks or lines that stand for them.</summary>
    public static XElement Legend(IEnumerable<(string Title, int Index, bool IsLine)> entries) => new(
        "ul", new XAttribute("class", "legend"), entries.Select(entry => new XElement("li", Mark(entry.Index, entry.IsLine), entry.Title)));

    private static XElement Mark(int index, bool isLine)
    {
        XNamespace svg = "http://www.w3.org/2000/svg";
        string outline = isLine ? "M0 5H14V9H0Z" : MarkOf(index) switch
        {
            MarkerType.Circle => "M2 7A5 5 0 1 0 12 7A5 5 0 1 0 2 7Z",
            MarkerType.Triangle => "M7 1L13 12H1Z",
            MarkerType.Diamond => "M7 1L13 7L7 13L1 7Z",
            _ => "M2 2H12V12H2Z",
        };
        var shape = new XElement(
            svg + "path", new XAttribute("d", outline), new XAttribute("fill", s_marks[index % s_marks.Length].Color));
        return new XElement(
            svg + "svg", new XAttribute("width", "14"), new XAttribute("height", "14"), new XAttribute("aria-hidden", "true"), shape);
    }

    private static Axis Dressed(Axis axis, AxisPosition position, string title)
    {
        axis.Position = position;
        axis.Title = title;
        axis.AxislineStyle = LineStyle.Solid;
        axis.AxislineColor = axis.TicklineColor = s_axis;
        axis.MajorGridlineStyle = LineStyle.Solid;
        axis.MajorGridlineColor = s_grid;
        axis.TickStyle = TickStyle.None;
        axis.MinimumPadding = axis.MaximumPadding = 0.06;
        axis.AxisTitleDistance = position == AxisPosition.Left ? 22 : 8;
        return axis;
    }
}
