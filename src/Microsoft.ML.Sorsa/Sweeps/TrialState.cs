namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>How far a trial came.</summary>
public enum TrialState
{
    /// <summary>Under way, or interrupted: a study that is opened again starts it anew.</summary>
    Running,

    /// <summary>Trained to its end and measured.</summary>
    Completed,

    /// <summary>Ended early, since earlier trials had a lower validation loss after as many looks. Its curve stays.</summary>
    Pruned,

    /// <summary>Ended with an error, which its result holds.</summary>
    Failed,
}
