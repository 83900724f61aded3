namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Proposes the parameters of trials. A proposal follows from what is handed in alone: a study that goes on after a crash, on whichever
/// machine, asks again and must hear the same.
/// </summary>
public interface ITuner
{
    /// <summary>Its name and everything that decides its proposals, as a study writes it down.</summary>
    string Description { get; }

    /// <summary>A value for each option of the space, in its order; null when there is nothing left to try.</summary>
    /// <param name="space">The options.</param>
    /// <param name="trialId">The trial's number, from 1.</param>
    /// <param name="history">The results of trials 1 to k − W in their order, W the trials at a time.</param>
    /// <param name="seed">The experiment's seed.</param>
    IReadOnlyDictionary<string, object?>? Propose(SorsaSearchSpace space, int trialId, TrialHistory history, int seed);
}

/// <summary>The trials that a decision may rest on, in their order.</summary>
/// <param name="Trials">Completed, pruned and failed ones.</param>
/// <param name="IsMaximized">A higher metric is better.</param>
public sealed record TrialHistory(IReadOnlyList<TrialResult> Trials, bool IsMaximized)
{
    /// <summary>
    /// From the best to the worst: completed trials by their metric, then pruned ones by the evaluations that they reached and their
    /// lowest loss, then failed ones; those that are alike in their order.
    /// </summary>
    public IReadOnlyList<TrialResult> Ranked =>
    [
        .. Trials.Where(trial => trial.State == TrialState.Completed).OrderBy(trial => IsMaximized ? -trial.Metric : trial.Metric),
        .. Trials.Where(trial => trial.State == TrialState.Pruned)
            .OrderByDescending(trial => trial.Curve.Count).ThenBy(trial => trial.LowestLoss),
        .. Trials.Where(trial => trial.State == TrialState.Failed),
    ];

    /// <summary>The best of the completed trials, the earlier one of equal ones; null where there is none.</summary>
    public TrialResult? Best => Ranked is [{ State: TrialState.Completed } best, ..] ? best : null;
}
