namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>What became of a trial.</summary>
public sealed record TrialResult
{
    /// <summary>Its number and parameters.</summary>
    public required TrialSettings TrialSettings { get; init; }

    /// <summary>How far it came.</summary>
    public required TrialState State { get; init; }

    /// <summary>The experiment's metric; null where the trial was not trained to its end.</summary>
    public double? Metric { get; init; }

    /// <summary>The validation losses, in the order of the steps.</summary>
    public IReadOnlyList<CurvePoint> Curve { get; init; } = [];

    /// <summary>
    /// L_reg of Eq. (9) of what was trained, at its end; null where the trial was not trained to its end, and for methods without singular
    /// vectors.
    /// </summary>
    public double? Orthonormality { get; init; }

    /// <summary>Why it failed.</summary>
    public string? Error { get; init; }

    /// <summary>How long it took, with its decompositions and its metric.</summary>
    public double DurationInMilliseconds { get; init; }

    /// <summary>The version of the library that ran it.</summary>
    public string Version { get; init; } = "";

    /// <summary>The lowest validation loss of its curve, which decides what is kept of it; infinite without a curve.</summary>
    internal double LowestLoss => Curve.Count == 0 ? double.PositiveInfinity : Curve.Min(point => point.Loss);
}

/// <summary>How far a trial came.</summary>
public enum TrialState
{
    /// <summary>Under way, or interrupted: a study that is opened again starts it anew.</summary>
    Running,

    /// <summary>Trained to its end and measured.</summary>
    Completed,

    /// <summary>Ended early, since earlier trials had a lower validation loss after as many evaluations. Its curve stays.</summary>
    Pruned,

    /// <summary>Ended with an error, which its result holds.</summary>
    Failed,
}

/// <summary>What a trial is.</summary>
/// <param name="TrialId">Its number in the study, from 1.</param>
/// <param name="Parameters">
/// The values of the search space's options, in the order of the space. Options that the trial's method does not have are left out.
/// </param>
public sealed record TrialSettings(int TrialId, IReadOnlyDictionary<string, object?> Parameters);

/// <summary>An evaluation: the validation loss after some steps.</summary>
/// <param name="Step">Optimizer steps done, from 1.</param>
/// <param name="Loss">The mean cross-entropy of the validation rows, in nats per response token.</param>
/// <param name="Orthonormality">L_reg of Eq. (9) before this step; null where γ = 0 and for methods without it.</param>
public sealed record CurvePoint(int Step, double Loss, double? Orthonormality);
