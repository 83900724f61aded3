using OxyPlot;

namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>What a report is made from.</summary>
/// <param name="History">The trials, in the order of their numbers.</param>
/// <param name="MetricName">How the metric is called.</param>
/// <param name="Space">What was varied.</param>
/// <param name="Shared">What was done once instead of for every trial.</param>
/// <param name="StoppedByTime">Whether the time was over before the trials were.</param>
/// <param name="Origin">What the sweep was made of.</param>
internal sealed record SweepReport(
    TrialHistory History, string MetricName, SorsaSearchSpace Space, SharedWork Shared, bool StoppedByTime, SweepOrigin Origin)
{
    /// <summary>The names of the trainer's options that have a plot of their own.</summary>
    public const string Gamma = "Gamma", Rank = "Rank";

    public TrialResult? Best { get; } = History.Best;

    public IReadOnlyList<TrialResult> Trials => History.Trials;

    public IReadOnlyList<TrialResult> Completed { get; } =
        [.. History.Trials.Where(trial => trial.State == TrialState.Completed && trial.Metric is not null)];

    public MetricShades Shades => field ??= MetricShades.Of(Completed.Select(trial => trial.Metric!.Value), History.IsMaximized);

    /// <summary>The values of an option; null where it is not varied.</summary>
    public ISearchOption? Option(string name) =>
        Space.FirstOrDefault(option => string.Equals(option.Key, name, StringComparison.Ordinal)).Value;

    /// <summary>
    /// From what should be seen least to what should be seen best: whoever draws in this order has the best trial on top.
    /// </summary>
    public IEnumerable<TrialResult> InDrawingOrder() => History.Ranked.Reverse();
}

/// <summary>
/// A metric as a colour of the scale "viridis", which colour-blind eyes and grey prints keep in order: the best is the darkest. A few
/// trials that went astray do not take the colours from the others: what is worse than the third quartile by 1.5 quartile distances
/// (Tukey's fence) has the last colour.
/// </summary>
/// <param name="Best">The best value.</param>
/// <param name="Worst">The value of the last colour.</param>
/// <param name="IsCut">Whether there are values beyond.</param>
internal sealed record MetricShades(double Best, double Worst, bool IsCut)
{
    /// <summary>The yellow end is too light for lines on white.</summary>
    private static readonly OxyColor[] s_colors = [.. OxyPalettes.Viridis(256).Colors.Take(236)];

    /// <summary>From the best to the last colour.</summary>
    public static IReadOnlyList<OxyColor> Colors => s_colors;

    public static MetricShades Of(IEnumerable<double> values, bool isMaximized)
    {
        // As losses, in their order.
        double[] sorted = [.. values.Select(value => isMaximized ? -value : value).Order()];
        if (sorted.Length == 0)
        {
            return new MetricShades(0, 0, false);
        }

        double lower = Quantile(sorted, 0.25), upper = Quantile(sorted, 0.75);
        double fence = sorted.Last(value => value <= upper + 1.5 * (upper - lower));
        double sign = isMaximized ? -1 : 1;
        return new MetricShades(sign * sorted[0], sign * fence, fence < sorted[^1]);
    }

    public OxyColor Of(double metric) => s_colors[(int)Math.Round(Depth(metric) * (s_colors.Length - 1))];

    /// <summary>0 for the best, 1 for the last colour.</summary>
    public double Depth(double metric) => Best == Worst ? metric == Best ? 0 : 1 : Math.Clamp((metric - Best) / (Worst - Best), 0, 1);

    private static double Quantile(double[] sorted, double share)
    {
        double at = share * (sorted.Length - 1);
        int below = (int)at;
        return sorted[below] + (at - below) * (sorted[Math.Min(below + 1, sorted.Length - 1)] - sorted[below]);
    }
}
