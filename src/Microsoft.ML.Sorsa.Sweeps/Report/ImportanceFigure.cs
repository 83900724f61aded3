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
        ParameterImportance[] importances = [.. ParameterImportance.Of(report).Where(importance => importance.IsFromEnoughTrials)];
        if (importances.Length == 0)
        {
            bool areAlike = report.Completed.Select(trial => trial.Metric).Distinct().Count() < 2 && report.Completed.Count > 1;
            return ReportFigure.LeftOut(Name, Title, areAlike
                ? "the completed trials all have the same metric, so there is no variance to explain."
                : $"it takes {NumberText.Of(ParameterImportance.LeastTrials)} completed trials that have the parameter, "
                    + $"{NumberText.Of(ParameterImportance.LeastTrialsPerGroup)} for each group of its values, and two groups; there are "
                    + $"{NumberText.Count(report.Completed.Count, "completed trial")}. With fewer, a parameter that changes nothing would "
                    + "seem to explain more than 30 % of the variance in one sweep of twenty.");
        }

        double step = 1.0 / importances.Length;
        PlotModel plot = PlotInk.Empty(left: 122, top: 12, right: 8, bottom: 52);
        (double, string)[] shares = [.. ScaleTick.Linear(0, 1).Select(tick => (tick.Value, tick.Label))];
        (double, string)[] names =
            [.. importances.Select((importance, i) => (1 - (i + 0.5) * step, PlainText.Short(importance.Parameter, 18)))];
        plot.Axes.Add(new ScaleAxis(AxisPosition.Bottom, "Share of the metric's variance", shares, margin: 0) { Maximum = 1.12 });
        plot.Axes.Add(new ScaleAxis(AxisPosition.Left, "", names, margin: 0) { MajorGridlineStyle = LineStyle.None });
        foreach ((int i, ParameterImportance importance) in importances.Index())
        {
            double middle = 1 - (i + 0.5) * step, half = Math.Min(step * 0.32, 0.09);
            plot.Series.Add(Bar(importance.Share, middle - half, middle + half, s_share));
            plot.Series.Add(Bar(importance.BeyondChance, middle - half * 0.6, middle + half * 0.6, s_beyondChance));
            plot.Annotations.Add(PlotInk.Label(
                NumberText.Of(Math.Round(importance.BeyondChance, 2)), importance.Share, middle, HorizontalAlignment.Left, offset: 8));
        }

        string[] silent =
        [
            .. report.Space.Select(option => option.Key)
                .Except(importances.Select(importance => importance.Parameter), StringComparer.Ordinal),
        ];
        return new ReportFigure(Name, Title,
            "The share of the metric's variance over the completed trials that the parameter alone explains. "
            + "Light: the correlation ratio η² over groups (a choice's values; numbers in three groups of equal size). "
            + "Dark, and the number: ε², the same less what as many groups explain by chance."
            + (report.Shades.IsCut ? " A few trials far off make up much of this variance." : "")
            + $" Over {NumberText.Count(report.Completed.Count, "trial")}."
            + (silent.Length == 0 ? "" : $" Nothing can be said of {PlainText.Of(string.Join(", ", silent))}: "
                + "one group, or too few trials."), plot);
    }

    private static RectangleBarSeries Bar(double share, double from, double to, OxyColor color)
    {
        var bar = new RectangleBarSeries { FillColor = color, StrokeThickness = 0 };
        bar.Items.Add(new RectangleBarItem(0, from, share, to));
        return bar;
    }
}

/// <summary>
/// How much of the metric's variance over the completed trials a parameter alone explains: the correlation ratio η² = between groups / in
/// all, over groups of trials with the same choice, or with numbers in three groups of equal size. Groups explain something by chance too;
/// Kelley's ε² = 1 − (1 − η²)(n − 1)/(n − k) for n trials in k groups takes that off.
/// </summary>
/// <param name="Parameter">The option's name.</param>
/// <param name="Share">η², from 0 to 1.</param>
/// <param name="BeyondChance">ε², 0 where it would be negative.</param>
/// <param name="Trials">n.</param>
/// <param name="Groups">k.</param>
internal sealed record ParameterImportance(string Parameter, double Share, double BeyondChance, int Trials, int Groups)
{
    /// <summary>
    /// Where a parameter changes nothing, η² of n trials in k groups is distributed as Beta((k − 1)/2, (n − k)/2): with three groups its
    /// 95th percentile is 0.58 of 10 trials, 0.37 of 16, 0.30 of 20.
    /// </summary>
    public const int LeastTrials = 20;

    /// <summary>The same percentile stays near 0.3 with more groups.</summary>
    public const int LeastTrialsPerGroup = 6;

    private const int NumberGroups = 3;

    /// <summary>Whether it says something that chance would not.</summary>
    public bool IsFromEnoughTrials => Trials >= Math.Max(LeastTrials, LeastTrialsPerGroup * Groups);

    /// <summary>
    /// The parameters that can be computed: more trials than groups, two groups at least, and metrics that differ. The most important
    /// first.
    /// </summary>
    public static IReadOnlyList<ParameterImportance> Of(SweepReport report) =>
    [
        .. report.Space.Select(option => Of(option.Key, option.Value, report.Completed)).OfType<ParameterImportance>()
            .OrderByDescending(importance => importance.BeyondChance).ThenByDescending(importance => importance.Share),
    ];

    private static ParameterImportance? Of(string name, ISearchOption option, IReadOnlyList<TrialResult> completed)
    {
        TrialResult[] trials = [.. completed.Where(trial => trial.TrialSettings.Parameters.ContainsKey(name))];
        double[][] groups =
        [
            .. (option.Choices is null
                ? InThree(trials, trial => option.ToUnitInterval(trial.TrialSettings.Parameters[name]))
                : trials.GroupBy(trial => ParameterText.Of(trial.TrialSettings.Parameters[name]), StringComparer.Ordinal))
                .Select(group => group.Select(trial => trial.Metric!.Value).ToArray()),
        ];
        if (groups.Length < 2 || trials.Length <= groups.Length || trials.All(trial => trial.Metric == trials[0].Metric))
        {
            return null;
        }

        double mean = trials.Average(trial => trial.Metric!.Value);
        double all = trials.Sum(trial => Squared(trial.Metric!.Value - mean));
        double within = groups.Sum(group => group.Sum(metric => Squared(metric - group.Average())));
        double share = Math.Clamp(1 - within / all, 0, 1);
        double beyondChance = 1 - (1 - share) * (trials.Length - 1) / (trials.Length - groups.Length);
        return new ParameterImportance(name, share, Math.Max(0, beyondChance), trials.Length, groups.Length);
    }

    /// <summary>Equal values come into one group, that of the first of them.</summary>
    private static IEnumerable<IEnumerable<TrialResult>> InThree(TrialResult[] trials, Func<TrialResult, double> value)
    {
        double[] sorted = [.. trials.Select(value).Order()];
        return trials.GroupBy(trial => Array.IndexOf(sorted, value(trial)) * NumberGroups / sorted.Length);
    }

    private static double Squared(double value) => value * value;
}
