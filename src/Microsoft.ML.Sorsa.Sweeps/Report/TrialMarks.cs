using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>A square per trial, with its number where there is room: coloured by the metric, hollow where there is none.</summary>
internal static class TrialMarks
{
    /// <summary>Says how to read them.</summary>
    public const string Legend = "A square is a trial, with its number where there is room; the more it stands out, the better. "
        + "Pink frame: the best. "
        + "Hollow and grey: pruned. Hollow and orange: failed.";

    /// <summary>A mark with a number is so wide and high.</summary>
    private const double Step = 0.055;

    private const int MostWithNumbers = 48;

    /// <param name="report">For the colours.</param>
    /// <param name="across">The axis at the bottom.</param>
    /// <param name="up">The axis on the left.</param>
    /// <param name="points">The trials to draw, with their positions; those on top last.</param>
    public static PlotModel Plot(
        SweepReport report, ScaleAxis across, ScaleAxis up, IReadOnlyList<(TrialResult Trial, double X, double Y)> points)
    {
        PlotModel plot = PlotInk.Empty(left: 70, top: 12, right: 92, bottom: 52);
        plot.Axes.Add(across);
        plot.Axes.Add(up);
        if (report.Completed.Count > 0)
        {
            plot.Axes.Add(ColorBar(report));
        }

        bool numbered = points.Count <= MostWithNumbers;
        foreach ((TrialResult trial, double x, double y) in SideBySide(points))
        {
            bool isBest = trial == report.Best;
            OxyColor color = trial switch
            {
                { State: TrialState.Failed } => PlotInk.Failed,
                { Metric: { } metric, State: TrialState.Completed } => report.Shades.Of(metric),
                _ => PlotInk.Pruned,
            };
            bool isHollow = trial.State != TrialState.Completed;
            plot.Annotations.Add(new PointAnnotation
            {
                X = x,
                Y = y,
                Shape = MarkerType.Square,
                Size = (numbered ? 10 : 6) - (isHollow ? 1 : 0),
                Fill = isHollow ? OxyColors.White : color,
                Stroke = isBest ? PlotInk.Best : isHollow ? color : OxyColors.White,
                StrokeThickness = isBest ? 3 : isHollow ? 1.5 : 1,
            });
            if (numbered)
            {
                TextAnnotation number = PlotInk.Label(NumberText.Of(trial.TrialSettings.TrialId), x, y, HorizontalAlignment.Center);
                (number.FontSize, number.TextColor) = (10.5, isHollow ? PlotInk.Text : ReadableOn(color));
                plot.Annotations.Add(number);
            }
        }

        return plot;
    }

    /// <summary>What the colours of a plot with marks mean, on its right.</summary>
    private static LinearColorAxis ColorBar(SweepReport report)
    {
        MetricShades shades = report.Shades;
        double least = Math.Min(shades.Best, shades.Worst), most = Math.Max(shades.Best, shades.Worst);
        double margin = least < most ? 0 : Math.Max(Math.Abs(least) * 0.1, 1e-9);
        return new LinearColorAxis
        {
            Position = AxisPosition.Right,
            Title = PlainText.Short(report.MetricName, 40) + (shades.IsCut ? " (last colour: and worse)" : ""),
            Palette = new OxyPalette(report.History.IsMaximized ? MetricShades.Colors.Reverse() : MetricShades.Colors),
            Minimum = least - margin,
            Maximum = most + margin,
            LabelFormatter = NumberText.Of,
            AxisDistance = 14,
            AxisTickToLabelDistance = 9,
            TickStyle = TickStyle.None,
            AxisTitleDistance = 16,
            TicklineColor = PlotInk.Axis,
            AxislineColor = PlotInk.Axis,
        };
    }

    /// <summary>
    /// Marks that are straight above each other, as those of equal choices are, and would touch, go into columns of their own.
    /// </summary>
    private static IEnumerable<(TrialResult Trial, double X, double Y)> SideBySide(
        IReadOnlyList<(TrialResult Trial, double X, double Y)> points)
    {
        var shifts = new Dictionary<int, double>();
        foreach (var straight in points.GroupBy(point => Math.Round(point.X, 6)))
        {
            foreach ((int Trial, int Column)[] heap in Heaps(straight.Select(point => (point.Trial.TrialSettings.TrialId, point.Y))))
            {
                int last = heap.Max(mark => mark.Column);
                foreach ((int trial, int column) in heap)
                {
                    shifts[trial] = (column - last / 2.0) * Step;
                }
            }
        }

        return points.Select(point => (point.Trial, point.X + shifts[point.Trial.TrialSettings.TrialId], point.Y));
    }

    /// <summary>Marks that touch, directly or over others, from the lowest: each in the first column where it touches none.</summary>
    private static List<(int Trial, int Column)[]> Heaps(IEnumerable<(int Trial, double Y)> straight)
    {
        var heaps = new List<(int, int)[]>();
        var heap = new List<(int, int)>();
        var tops = new List<double>();
        foreach ((int trial, double y) in straight.OrderBy(mark => Math.Round(mark.Y, 6)).ThenBy(mark => mark.Trial))
        {
            if (heap.Count > 0 && tops.All(top => y - top >= Step))
            {
                heaps.Add([.. heap]);
                heap.Clear();
                tops.Clear();
            }

            int column = tops.FindIndex(top => y - top >= Step);
            if (column < 0)
            {
                column = tops.Count;
                tops.Add(y);
            }

            tops[column] = y;
            heap.Add((trial, column));
        }

        return [.. heaps, [.. heap]];
    }

    private static OxyColor ReadableOn(OxyColor color) =>
        0.299 * color.R + 0.587 * color.G + 0.114 * color.B > 140 ? OxyColors.Black : OxyColors.White;
}
