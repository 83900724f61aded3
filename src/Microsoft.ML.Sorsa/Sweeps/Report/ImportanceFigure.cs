using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>Bars of <see cref="ParameterImportance"/>.</summary>
internal static class ImportanceFigure
{
    private const string Name = "importance", Title = "Importance of each parameter";

    private static readonly OxyColor s_share = OxyColor.FromRgb(0xcf, 0xdd, 0xe8), s_beyondChance = OxyColor.FromRgb(0x31, 0x68, 0x8e);

    public static ReportFigure Of(SweepReport report)
    {
        IReadOnlyList<ParameterImportance> importances = ParameterImportance.Of(report);
        if (importances.Count == 0)
        {
            return ReportFigure.LeftOut(Name, Title, report.Completed.Select(trial => trial.Metric).Distinct().Count() < 2 && report.Completed.Count > 1
                ? "the completed trials all have the same metric, so there is no variance to explain."
                : $"{NumberText.Count(report.Completed.Count, "completed trial")} cannot be told from chance; it takes more trials than groups of a parameter, and two groups.");
        }

        double step = 1.0 / importances.Count;
        PlotModel plot = PlotInk.Empty(left: 122, top: 12, right: 8, bottom: 52);
        plot.Axes.Add(new ScaleAxis(AxisPosition.Bottom, "Share of the metric's variance", [.. ScaleTick.Linear(0, 1).Select(tick => (tick.Value, tick.Label))], margin: 0) { Maximum = 1.12 });
        plot.Axes.Add(new ScaleAxis(AxisPosition.Left, "", [.. importances.Select((importance, i) => (1 - (i + 0.5) * step, PlainText.Short(importance.Parameter, 18)))], margin: 0) { MajorGridlineStyle = LineStyle.None });
        foreach ((int i, ParameterImportance importance) in importances.Index())
        {
            double middle = 1 - (i + 0.5) * step, half = Math.Min(step * 0.32, 0.09);
            plot.Series.Add(Bar(importance.Share, middle - half, middle + half, s_share));
            plot.Series.Add(Bar(importance.BeyondChance, middle - half * 0.6, middle + half * 0.6, s_beyondChance));
            plot.Annotations.Add(PlotInk.Label(NumberText.Of(Math.Round(importance.BeyondChance, 2)), importance.Share, middle, HorizontalAlignment.Left, offset: 8));
        }

        string[] silent = [.. report.Space.Select(option => option.Key).Except(importances.Select(importance => importance.Parameter), StringComparer.Ordinal)];
        return new ReportFigure(Name, Title,
            "The share of the metric's variance over the completed trials that the parameter alone explains. Light: the correlation ratio η² over groups (a choice's values; numbers in three groups of equal size). "
            + "Dark, and the number: ε², the same less what as many groups explain by chance."
            + (report.Shades.IsCut ? " A few trials far off make up much of this variance." : "")
            + (silent.Length == 0 ? "" : $" Nothing can be said of {PlainText.Of(string.Join(", ", silent))}: one group, or as many groups as trials."), plot);
    }

    private static RectangleBarSeries Bar(double share, double from, double to, OxyColor color)
    {
        var bar = new RectangleBarSeries { FillColor = color, StrokeThickness = 0 };
        bar.Items.Add(new RectangleBarItem(0, from, share, to));
        return bar;
    }
}
