using System.Globalization;
using System.Xml.Linq;
using Microsoft.ML.Sorsa.Analysis;
using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>
/// ΔD against ΔΣ: a line a matrix from the start, where both are 0, over the steps; at its end a mark with its layer, or, where there are
/// many, one that is the stronger the deeper the layer.
/// </summary>
internal static class AnalysisPlot
{
    /// <summary>So many marks with numbers do not hide each other.</summary>
    private const int MostNumbers = 48;

    private const double Row = 18, Left = 70, Right = 14, Bottom = 52;

    private static readonly XNamespace s_svg = "http://www.w3.org/2000/svg";

    /// <summary>The order of kinds in legends, each with its colour in every figure; others follow.</summary>
    private static readonly string[] s_kinds = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    private static readonly OxyColor[] s_colors =
    [
        OxyColor.FromRgb(0x00, 0x72, 0xb2), OxyColor.FromRgb(0xd5, 0x5e, 0x00), OxyColor.FromRgb(0x00, 0x9e, 0x73),
        OxyColor.FromRgb(0xc2, 0x18, 0x5b), OxyColor.FromRgb(0xb8, 0x86, 0x00), OxyColor.FromRgb(0x3a, 0x9b, 0xdc),
        OxyColor.FromRgb(0x5e, 0x3c, 0x99), OxyColor.FromRgb(0x6b, 0x72, 0x7a), OxyColor.FromRgb(0x8c, 0x56, 0x4b),
        OxyColor.FromRgb(0x7a, 0x85, 0x10),
    ];

    /// <summary>How to read it.</summary>
    public static string Note(SorsaAnalysis analysis)
    {
        int[] steps = [.. analysis.Matrices.Select(row => row.Step).Distinct()];
        string lines = steps.Length > 1
            ? $"A line is a matrix from the start, where both are 0, over {NumberText.Count(steps.Length, "step")} up to step "
                + $"{NumberText.Of(steps[^1])}; the mark at its end"
            : steps[0] > 0 ? $"A mark is a matrix at step {NumberText.Of(steps[0])}; it" : "A mark is a matrix; it";
        return "ΔΣ is how far the singular values moved on average, ΔD how far the singular vectors turned, from 0 to 1. "
            + $"{lines} tells the layer.";
    }

    /// <param name="analysis">At least one row.</param>
    /// <param name="title">Names it for whoever does not see it; and stands above it.</param>
    /// <param name="isTitled">Whether it does.</param>
    /// <param name="axes">Where the axes end; null: at the largest values.</param>
    /// <param name="size">In pixels.</param>
    public static XElement Svg(SorsaAnalysis analysis, string title, bool isTitled, (double X, double Y)? axes, PlotSize size)
    {
        string[] kinds = Kinds(analysis);
        int matrices = analysis.Matrices.Select(row => row.Path).Distinct(StringComparer.Ordinal).Count();
        bool isNumbered = matrices <= (size.Width < 500 ? MostNumbers / 2 : MostNumbers);
        XElement[] legend = Legend(analysis, kinds, isNumbered, size.Width, isTitled ? Row + 6 : 0, out double top);
        PlotModel plot = Plot(analysis, kinds, isNumbered, axes, top);
        XElement svg = PlotSvg.Of(new ReportFigure($"analysis-{Name(title)}", PlainText.Of(title), "", plot), plot, size);
        if (isTitled)
        {
            svg.Add(Text(PlainText.Short(title, (int)(size.Width / 8)), 4, Row - 2, isBold: true));
        }

        svg.Add(legend);
        return svg;
    }

    private static PlotModel Plot(
        SorsaAnalysis analysis, string[] kinds, bool isNumbered, (double X, double Y)? axes, double top)
    {
        PlotScale<double> across = Scale(axes?.X, row => row.SingularValueChange), up = Scale(axes?.Y, row => row.SingularVectorChange);
        PlotModel plot = PlotInk.Empty(Left, top, Right, Bottom);
        plot.Axes.Add(new ScaleAxis(AxisPosition.Bottom, "ΔΣ, change of the singular values", across.Ticks, margin: 0.04));
        plot.Axes.Add(new ScaleAxis(AxisPosition.Left, "ΔD, change of the singular vectors", up.Ticks, margin: 0.04));
        bool hasLines = analysis.Matrices.Select(row => row.Step).Distinct().Count() > 1;
        int deepest = Math.Max(1, analysis.Matrices.Max(row => row.Layer ?? 0));
        var marks = new List<Annotation>();
        foreach (IGrouping<string, MatrixAnalysis> matrix in analysis.Matrices.GroupBy(row => row.Path, StringComparer.Ordinal))
        {
            MatrixAnalysis last = matrix.Last();
            OxyColor color = Shade(Color(kinds, last.Module), (double)(last.Layer ?? deepest) / deepest);
            DataPoint[] points = [.. matrix.Select(row =>
                new DataPoint(across.PositionOf(row.SingularValueChange), up.PositionOf(row.SingularVectorChange)))];
            if (hasLines)
            {
                plot.Series.Add(new LineSeries
                {
                    ItemsSource = points.Prepend(new DataPoint(across.PositionOf(0), up.PositionOf(0))).ToArray(),
                    Color = color,
                    LineStyle = LineStyle.Solid,
                    StrokeThickness = 1.2,
                });
            }

            bool hasNumber = isNumbered && last.Layer is not null;
            marks.Add(new PointAnnotation
            {
                X = points[^1].X,
                Y = points[^1].Y,
                Shape = MarkerType.Circle,
                Size = hasNumber ? 7.5 : 4,
                Fill = hasNumber ? Color(kinds, last.Module) : color,
                Stroke = OxyColors.White,
                StrokeThickness = 1,
            });
            if (hasNumber)
            {
                TextAnnotation number = PlotInk.Label(
                    NumberText.Of(last.Layer!.Value), points[^1].X, points[^1].Y, HorizontalAlignment.Center);
                (number.FontSize, number.TextColor) = (10, OxyColors.White);
                marks.Add(number);
            }
        }

        // Above every line.
        marks.ForEach(plot.Annotations.Add);
        return plot;

        PlotScale<double> Scale(double? end, Func<MatrixAnalysis, double> value) =>
            PlotScale.Of([0, end ?? analysis.Matrices.Max(value)], isLogarithmic: false);
    }

    private static string[] Kinds(SorsaAnalysis analysis)
    {
        string[] found = [.. analysis.Matrices.Select(row => row.Module).Distinct(StringComparer.Ordinal)];
        return [.. s_kinds.Intersect(found, StringComparer.Ordinal), .. found.Except(s_kinds, StringComparer.Ordinal)];
    }

    private static OxyColor Color(string[] kinds, string kind)
    {
        int known = Array.IndexOf(s_kinds, kind);
        int others = Array.IndexOf([.. kinds.Except(s_kinds, StringComparer.Ordinal)], kind);
        return s_colors[known >= 0 ? known : (s_kinds.Length + others) % s_colors.Length];
    }

    /// <summary>From a light tint in the first layer to the colour itself in the last.</summary>
    private static OxyColor Shade(OxyColor color, double depth)
    {
        double share = 0.3 + (0.7 * depth);
        byte Mix(byte part) => (byte)Math.Round(255 - (share * (255 - part)));
        return OxyColor.FromRgb(Mix(color.R), Mix(color.G), Mix(color.B));
    }

    /// <summary>The kinds with their colours in as many rows as they need, and what a mark says of the layer.</summary>
    private static XElement[] Legend(
        SorsaAnalysis analysis, string[] kinds, bool isNumbered, double width, double top, out double bottom)
    {
        const double Swatch = 12, Gap = 16, LetterWidth = 6.6;
        int[] layers = [.. analysis.Matrices.Select(row => row.Layer).OfType<int>().Distinct().Order()];
        var entries = new List<(string Text, OxyColor? Color)>(
            kinds.Select(kind => (PlainText.Short(kind, 24), (OxyColor?)Color(kinds, kind))));
        if (layers.Length > 0)
        {
            string range = layers.Length > 1 ? $"layer {NumberText.Of(layers[0])} to {NumberText.Of(layers[^1])}" : $"layer {layers[0]}";
            entries.Add((isNumbered ? "number: layer" : $"faint to strong: {range}", null));
        }

        var drawn = new List<XElement>();
        (double x, double y) = (4, top + Row - 4);
        foreach ((string text, OxyColor? color) in entries)
        {
            double length = (color is null ? 0 : Swatch + 4) + (text.Length * LetterWidth);
            if (x > 4 && x + length > width)
            {
                (x, y) = (4, y + Row);
            }

            if (color is { } fill)
            {
                drawn.Add(new XElement(
                    s_svg + "rect", new XAttribute("x", Number(x)), new XAttribute("y", Number(y - Swatch + 2)),
                    new XAttribute("width", Number(Swatch)), new XAttribute("height", Number(Swatch)), new XAttribute("rx", "3"),
                    new XAttribute("fill", $"#{fill.R:x2}{fill.G:x2}{fill.B:x2}")));
            }

            drawn.Add(Text(text, x + (color is null ? 0 : Swatch + 4), y, isBold: false));
            x += length + Gap;
        }

        bottom = y + 14;
        return [.. drawn];
    }

    private static XElement Text(string text, double x, double y, bool isBold) => new(
        s_svg + "text", new XAttribute("x", Number(x)), new XAttribute("y", Number(y)), new XAttribute("font-family", PlotInk.Font),
        new XAttribute("font-size", isBold ? "14" : "12"), new XAttribute("fill", "#333a44"),
        isBold ? new XAttribute("font-weight", "bold") : null, text);

    private static string Number(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);

    /// <summary>A word for identities on a page: letters and digits of ASCII, the others as numbers.</summary>
    private static string Name(string title) => string.Concat(title.Select(letter => char.IsAsciiLetterOrDigit(letter)
        ? letter.ToString()
        : string.Create(CultureInfo.InvariantCulture, $"-{(int)letter:x}")));
}
