namespace Microsoft.ML.Sorsa.Sweeps.Report;

/// <summary>What a report is made from.</summary>
/// <param name="History">The trials, in the order of their numbers.</param>
/// <param name="MetricName">How the metric is called.</param>
/// <param name="Space">What was varied.</param>
/// <param name="Shared">What was done once instead of for every trial.</param>
/// <param name="StoppedByTime">Whether the time was over before the trials were.</param>
internal sealed record SweepReport(TrialHistory History, string MetricName, SorsaSearchSpace Space, SharedWork Shared, bool StoppedByTime)
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
