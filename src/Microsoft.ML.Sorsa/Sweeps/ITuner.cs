namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Proposes the parameters of trials. A proposal follows from what is handed in alone: a study that goes on after a crash, on whichever machine, asks again and
/// must hear the same.
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
