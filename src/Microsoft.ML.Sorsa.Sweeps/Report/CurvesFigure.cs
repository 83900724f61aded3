using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>The validation loss of every trial, step by step.</summary>
internal static class CurvesFigure
{
    private const string Name = "curves", Title = "Validation curves";

    /// <summary>From this ratio of the highest to the lowest loss on, the axis is logarithmic.</summary>
    private const double WideRange = 4;

    public static ReportFigure Of(SweepReport report)
    {
        (TrialResult Trial, CurvePoint[] Curve)[] curves =
        [
            .. report.InDrawingOrder().Select(trial => (trial, trial.Curve.Where(point => double.IsFinite(point.Loss)).ToArray()))
                .Where(curve => curve.Item2.Length > 0),
        ];
        if (curves.Length == 0)
        {
            return ReportFigure.LeftOut(Name, Title, "no trial came to its first evaluation.");
        }

        double[] losses = [.. curves.SelectMany(curve => curve.Curve).Select(point => point.Loss)];
        bool isLogarithmic = losses.Min() > 0 && losses.Max() / losses.Min() > WideRange;
        IEnumerable<double> steps = curves.SelectMany(curve => curve.Curve).Select(point => (double)point.Step);
        PlotScale<double> across = PlotScale.Of(steps, isLogarithmic: false, isWhole: true);
        PlotScale<double> up = PlotScale.Of(losses, isLogarithmic);
        PlotModel plot = PlotInk.Empty(left: 62, top: 12, right: 8, bottom: 52);
        plot.Axes.Add(new ScaleAxis(AxisPosition.Bottom, "Optimizer step", across.Ticks, margin: 0.03) { Maximum = 1.22 });
        plot.Axes.Add(new ScaleAxis(AxisPosition.Left, isLogarithmic ? "Validation loss (logarithmic)" : "Validation loss", up.Ticks));
        foreach ((TrialResult trial, CurvePoint[] curve) in curves)
        {
            DataPoint[] points = [.. curve.Select(point => new DataPoint(across.PositionOf(point.Step), up.PositionOf(point.Loss)))];
            bool isBest = trial == report.Best;
            OxyColor color = trial switch
            {
                _ when isBest => PlotInk.Best,
                { State: TrialState.Failed } => PlotInk.Failed,
                { State: TrialState.Completed, Metric: { } metric } => report.Shades.Of(metric),
                _ => PlotInk.Pruned,
            };
            plot.Series.Add(new LineSeries
            {
                ItemsSource = points,
                Color = color,
                LineStyle = LineStyle.Solid,
                StrokeThickness = isBest ? 3 : 1.5,
                MarkerType = points.Length == 1 ? MarkerType.Circle : MarkerType.None,
                MarkerSize = 3,
                MarkerFill = color,
            });
            if (trial.State != TrialState.Completed)
            {
                plot.Series.Add(new ScatterSeries
                {
                    ItemsSource = new[] { new ScatterPoint(points[^1].X, points[^1].Y) },
                    MarkerType = MarkerType.Cross,
                    MarkerSize = 4,
                    MarkerStroke = trial.State == TrialState.Failed ? PlotInk.Failed : PlotInk.Axis,
                    MarkerStrokeThickness = 1.8,
                });
            }

            if (isBest)
            {
                TextAnnotation name = PlotInk.Label(
                    $"trial {NumberText.Of(trial.TrialSettings.TrialId)}", points[^1].X, points[^1].Y, HorizontalAlignment.Left, offset: 7);
                (name.TextColor, name.FontWeight) = (PlotInk.Best, FontWeights.Bold);
                plot.Annotations.Add(name);
            }
        }

        int others = report.Trials.Count - curves.Length;
        return new ReportFigure(Name, Title,
            "Pink: the best trial. Other completed trials by their metric, the more they stand out, the better; "
            + "grey up to a cross: pruned there; orange: failed."
            + (others == 0 ? "" : $" Not drawn: {NumberText.Count(others, "trial")} without a curve."), plot);
    }
}
