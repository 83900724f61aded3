using Microsoft.ML.Sorsa.Training;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>The curves of one training over its steps.</summary>
internal static class TrainingFigures
{
    /// <summary>From this ratio of the largest to the smallest value on, an axis is logarithmic.</summary>
    private const double WideRange = 20;

    /// <summary>So many points a curve has room for on a page; of more, the mean of neighbours is drawn.</summary>
    private const int MostPoints = 600;

    /// <summary>Each step of a longer training is drawn faintly, with the mean of a share of them as the line.</summary>
    private const int Smoothed = 40;

    private static readonly OxyColor s_line = OxyColor.FromRgb(0x00, 0x72, 0xb2), s_faint = OxyColor.FromRgb(0x85, 0xb5, 0xd3);

    public static IEnumerable<ReportFigure> Of(SorsaTrainingRecord training)
    {
        if (training.Losses.Count == 0)
        {
            yield break;
        }

        yield return Loss(training);
        if (training.Steps.Count == 0)
        {
            yield break;
        }

        yield return Curve("rate", "Learning rate", "", "What each step was taken with.", step => step.LearningRate);
        yield return Curve(
            "norm", "Gradient norm", "Norm", "Of the loss's gradient, before it is clipped.", step => step.GradientNorm);
        if (training.Steps.Any(step => step.Orthonormality is not null))
        {
            yield return Curve(
                "orthonormality", "Orthonormality", "L_reg",
                "How far the singular vectors are from orthonormal: Eq. (9), before each step.", step => step.Orthonormality);
        }

        yield return Curve(
            "speed", "Speed", "Tokens/s", "Tokens a second since the start, padding not counted.", step => step.TokensPerSecond);

        ReportFigure Curve(string name, string title, string axis, string note, Func<SorsaTrainingProgress, double?> value) => Plot(
            name, title, axis, note,
            [.. training.Steps.Where(step => value(step) is not null).Select(step => (step.Step, value(step)!.Value))], [], isWide: false);
    }

    private static ReportFigure Loss(SorsaTrainingRecord training)
    {
        (int Step, double Value)[] losses = [.. training.Losses.Select((loss, i) => (i + 1, loss))];
        string note = "The mean over the tokens that a step learns, in nats."
            + (losses.Length >= Smoothed ? " Faint: every step; blue: the mean of its neighbours, on the scale that is drawn." : "")
            + (training.ValidationLosses.Count > 0 ? " Pink: the validation rows." : "");
        return Plot("loss", "Loss", "Loss", note, losses, [.. training.ValidationLosses], isWide: true);
    }

    private static ReportFigure Plot(
        string name, string title, string axis, string note, (int Step, double Value)[] values, (int Step, double Value)[] marks,
        bool isWide)
    {
        double[] all = [.. values.Concat(marks).Select(point => point.Value)];
        bool isLogarithmic = all.Min() > 0 && all.Max() / all.Min() > WideRange && name is not "rate";
        PlotScale<double> across = PlotScale.Of(
            values.Concat(marks).Select(point => (double)point.Step), isLogarithmic: false, isWhole: true);
        PlotScale<double> up = PlotScale.Of(name is "rate" or "speed" ? all.Prepend(0) : all, isLogarithmic);
        PlotModel plot = PlotInk.Empty(left: 66, top: 12, right: 12, bottom: 52);
        plot.Axes.Add(new ScaleAxis(AxisPosition.Bottom, "Optimizer step", across.Ticks, margin: 0.03));
        plot.Axes.Add(new ScaleAxis(AxisPosition.Left, isLogarithmic ? $"{axis} (logarithmic)" : axis, up.Ticks, margin: 0.04));
        bool isSmoothed = values.Length >= Smoothed && name is "loss" or "norm";
        if (isSmoothed)
        {
            Add(Drawn(values), s_faint, 1);
            Add(Means(Drawn(values), Math.Max(2, values.Length / 20)), s_line, 2);
        }
        else
        {
            Add(Drawn(values), s_line, 2);
        }

        if (marks.Length > 0)
        {
            Add(Drawn(marks), PlotInk.Best, 2, hasMarks: true);
        }

        return new ReportFigure(name, title, note, plot, isWide ? 1 : 0);

        DataPoint[] Drawn((int Step, double Value)[] points) =>
            [.. points.Select(point => new DataPoint(across.PositionOf(point.Step), up.PositionOf(point.Value)))];

        void Add(DataPoint[] points, OxyColor color, double width, bool hasMarks = false) => plot.Series.Add(new LineSeries
        {
            ItemsSource = Thinned(points),
            Color = color,
            LineStyle = LineStyle.Solid,
            StrokeThickness = width,
            MarkerType = hasMarks || points.Length == 1 ? MarkerType.Circle : MarkerType.None,
            MarkerSize = 3.5,
            MarkerFill = color,
        });
    }

    /// <summary>Each point as high as the mean of those around it.</summary>
    private static DataPoint[] Means(DataPoint[] points, int window)
    {
        var sums = new double[points.Length + 1];
        for (int i = 0; i < points.Length; i++)
        {
            sums[i + 1] = sums[i] + points[i].Y;
        }

        return [.. points.Select((point, i) =>
        {
            int reach = Math.Min(window / 2, Math.Min(i, points.Length - 1 - i));
            return new DataPoint(point.X, (sums[i + reach + 1] - sums[i - reach]) / ((2 * reach) + 1));
        })];
    }

    /// <summary>Few enough points; where there are more, each is the mean of as many neighbours as the others.</summary>
    private static DataPoint[] Thinned(DataPoint[] points) => points.Length <= MostPoints
        ? points
        : [.. points.Chunk((points.Length + MostPoints - 1) / MostPoints)
            .Select(chunk => new DataPoint(chunk[^1].X, chunk.Average(point => point.Y)))];
}
