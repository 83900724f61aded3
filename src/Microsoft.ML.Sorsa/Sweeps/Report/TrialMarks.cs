using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>A square per trial, with its number where there is room: coloured by the metric, hollow where there is none.</summary>
internal static class TrialMarks
{
    /// <summary>Says how to read them.</summary>
    public const string Legend = "A square is a trial, with its number; dark is good. Pink frame: the best. Hollow and grey: pruned. Hollow and orange: failed.";

    /// <summary>Trials that share a place stand side by side, so far apart.</summary>
    private const double Step = 0.055;

    private const int MostWithNumbers = 48;

    /// <param name="plot">Has its axes already.</param>
    /// <param name="report">For the colours.</param>
    /// <param name="places">The trials to draw, with their places; those on top last.</param>
    public static void Draw(PlotModel plot, SweepReport report, IReadOnlyList<(TrialResult Trial, double X, double Y)> places)
    {
        bool numbered = places.Count <= MostWithNumbers;
        foreach ((TrialResult trial, double x, double y) in SideBySide(places))
        {
            bool isBest = trial == report.Best;
            OxyColor color = trial switch
            {
                { State: TrialState.Failed } => PlotInk.Failed,
                { Metric: { } metric, State: TrialState.Completed } => report.Shades.Of(metric),
                _ => PlotInk.Pruned,
            };
            bool isHollow = trial.State != TrialState.Completed;
            plot.Series.Add(new ScatterSeries
            {
                MarkerType = MarkerType.Square,
                MarkerSize = (numbered ? 10 : 6) - (isHollow ? 1 : 0),
                MarkerFill = isHollow ? OxyColors.White : color,
                MarkerStroke = isBest ? PlotInk.Best : isHollow ? color : OxyColors.White,
                MarkerStrokeThickness = isBest ? 3 : isHollow ? 1.5 : 1,
                ItemsSource = new[] { new ScatterPoint(x, y) },
            });
            if (numbered)
            {
                plot.Annotations.Add(new TextAnnotation
                {
                    Text = NumberText.Of(trial.TrialSettings.TrialId),
                    TextPosition = new DataPoint(x, y),
                    TextHorizontalAlignment = HorizontalAlignment.Center,
                    TextVerticalAlignment = VerticalAlignment.Middle,
                    StrokeThickness = 0,
                    FontSize = 10.5,
                    TextColor = isHollow ? PlotInk.Text : ReadableOn(color),
                });
            }
        }
    }

    /// <summary>What the colours of a plot with marks mean, on its right.</summary>
    public static LinearColorAxis ColorBar(SweepReport report)
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
            AxisTitleDistance = 8,
            TicklineColor = PlotInk.Axis,
            AxislineColor = PlotInk.Axis,
        };
    }

    private static IEnumerable<(TrialResult Trial, double X, double Y)> SideBySide(IReadOnlyList<(TrialResult Trial, double X, double Y)> places)
    {
        ILookup<(double, double), int> together = places.Select((place, i) => (place, i)).ToLookup(pair => (Math.Round(pair.place.X, 6), Math.Round(pair.place.Y, 6)), pair => pair.i);
        return places.Select((place, i) =>
        {
            int[] row = [.. together[(Math.Round(place.X, 6), Math.Round(place.Y, 6))].OrderBy(other => places[other].Trial.TrialSettings.TrialId)];
            return (place.Trial, place.X + (Array.IndexOf(row, i) - (row.Length - 1) / 2.0) * Step, place.Y);
        });
    }

    private static OxyColor ReadableOn(OxyColor color) => 0.299 * color.R + 0.587 * color.G + 0.114 * color.B > 140 ? OxyColors.Black : OxyColors.White;
}
