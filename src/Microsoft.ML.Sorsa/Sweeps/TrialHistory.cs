namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>The trials that a decision may rest on, in their order.</summary>
/// <param name="Trials">Completed, pruned and failed ones.</param>
/// <param name="IsMaximized">A higher metric is better.</param>
public sealed record TrialHistory(IReadOnlyList<TrialResult> Trials, bool IsMaximized)
{
    /// <summary>
    /// From the best to the worst: completed trials by their metric, then pruned ones by the looks that they reached and their lowest loss, then failed ones; those
    /// that are alike in their order.
    /// </summary>
    public IReadOnlyList<TrialResult> Ranked =>
    [
        .. Trials.Where(trial => trial.State == TrialState.Completed).OrderBy(trial => IsMaximized ? -trial.Metric : trial.Metric),
        .. Trials.Where(trial => trial.State == TrialState.Pruned).OrderByDescending(trial => trial.Curve.Count).ThenBy(trial => trial.LowestLoss),
        .. Trials.Where(trial => trial.State == TrialState.Failed),
    ];

    /// <summary>The best of the completed trials, the earlier one of equal ones; null where there is none.</summary>
    public TrialResult? Best => Ranked is [{ State: TrialState.Completed } best, ..] ? best : null;
}
