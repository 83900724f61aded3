using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>Parallel coordinates: an axis per option and one for the metric, a line per trial.</summary>
internal static class ParallelFigure
{
    /// <summary>Where a line passes an option that its trial does not have.</summary>
    private const double NotThere = -0.13;

    /// <summary>With more trials than these, lines let others shine through.</summary>
    private const int Many = 40;

    public static ReportFigure Of(SweepReport report)
    {
        (string Name, PlotScale<object?> Scale)[] options = [.. report.Space.Select(option => (option.Key, PlotScale.Of(option.Value)))];
        PlotModel plot = PlotInk.Empty(left: 8, top: 4, right: 8, bottom: 4);
        int last = options.Length;
        plot.Axes.Add(Hidden(AxisPosition.Bottom, -0.35, last + 0.35));
        HashSet<string> lacking =
        [
            .. options.Select(option => option.Name)
                .Where(name => report.Trials.Any(trial => !trial.TrialSettings.Parameters.ContainsKey(name))),
        ];
        plot.Axes.Add(Hidden(AxisPosition.Left, lacking.Count > 0 ? NotThere - 0.05 : -0.05, 1.16));
        PlotScale<double>? metric = report.Completed.Count == 0 ? null : MetricScale(report);
        byte opacity = (byte)(report.Trials.Count > Many ? 120 : 255);
        foreach (TrialResult trial in report.InDrawingOrder())
        {
            bool isCompleted = trial is { State: TrialState.Completed, Metric: not null };
            bool isBest = trial == report.Best;
            List<DataPoint> points =
            [
                .. options.Select((option, i) => new DataPoint(
                    i,
                    trial.TrialSettings.Parameters.TryGetValue(option.Name, out object? value)
                        ? option.Scale.PositionOf(value)
                        : NotThere)),
            ];
            if (isCompleted)
            {
                points.Add(new DataPoint(last, metric!.PositionOf(trial.Metric!.Value)));
            }

            OxyColor color = isBest ? PlotInk.Best
                : isCompleted ? report.Shades.Of(trial.Metric!.Value)
                : trial.State == TrialState.Failed ? PlotInk.Failed
                : PlotInk.Pruned;
            plot.Series.Add(new LineSeries
            {
                ItemsSource = points,
                Color = isBest ? color : OxyColor.FromAColor(opacity, color),
                LineStyle = LineStyle.Solid,
                StrokeThickness = isBest ? 3.5 : isCompleted ? 1.8 : 1.2,
                MarkerType = MarkerType.Circle,
                MarkerSize = isBest ? 4 : 2.5,
                MarkerFill = color,
            });
        }

        foreach ((int i, (string name, PlotScale<object?> scale)) in options.Index())
        {
            DrawAxis(plot, i, name, scale.Ticks);
            if (lacking.Contains(name))
            {
                DrawLabel(plot, i, NotThere, "not there");
            }
        }

        if (metric is not null)
        {
            DrawAxis(plot, last, report.MetricName, metric.Ticks);
        }

        return new ReportFigure("parallel", "All options together",
            "A line is a trial, from its options to its metric; the more it stands out, the better. Pink: the best. "
            + "Grey (pruned) and orange (failed) lines end before the metric."
            + (lacking.Count > 0 ? " \"Not there\": the trial's method does not have the option." : ""), plot, Axes: last + 1);
    }

    /// <summary>As far as the colours go; what is worse lies at the end.</summary>
    private static PlotScale<double> MetricScale(SweepReport report)
    {
        MetricShades shades = report.Shades;
        PlotScale<double> scale = PlotScale.Of([shades.Best, shades.Worst], isLogarithmic: false);
        double end = scale.PositionOf(shades.Worst);
        return new PlotScale<double>(
            value => Math.Clamp(scale.PositionOf(value), 0, 1),
            !shades.IsCut
                ? scale.Ticks
                : [.. scale.Ticks.Where(tick => Math.Abs(tick.Position - end) > 0.08), (end, $"{NumberText.Of(shades.Worst)} and worse")]);
    }

    private static void DrawAxis(PlotModel plot, int x, string name, IReadOnlyList<(double Position, string Label)> ticks)
    {
        plot.Annotations.Add(new LineAnnotation
        {
            Type = LineAnnotationType.Vertical,
            X = x,
            MinimumY = 0,
            MaximumY = 1,
            Color = PlotInk.Text,
            StrokeThickness = 1.2,
            LineStyle = LineStyle.Solid,
            Layer = AnnotationLayer.BelowSeries,
        });
        foreach ((double tick, string label) in ticks)
        {
            DrawLabel(plot, x, tick, label);
        }

        TextAnnotation heading = PlotInk.Label(PlainText.Short(name, 24), x, 1.1, HorizontalAlignment.Center);
        (heading.FontSize, heading.FontWeight) = (13, FontWeights.Bold);
        plot.Annotations.Add(heading);
    }

    /// <summary>On a white ground, since lines run below it.</summary>
    private static void DrawLabel(PlotModel plot, int x, double height, string text)
    {
        TextAnnotation label = PlotInk.Label(text, x, height, HorizontalAlignment.Right, offset: -9);
        (label.Background, label.Padding) = (OxyColor.FromAColor(225, OxyColors.White), new OxyThickness(2, 1, 2, 1));
        plot.Annotations.Add(label);
    }

    private static LinearAxis Hidden(AxisPosition position, double minimum, double maximum) =>
        new() { Position = position, Minimum = minimum, Maximum = maximum, IsAxisVisible = false };
}
