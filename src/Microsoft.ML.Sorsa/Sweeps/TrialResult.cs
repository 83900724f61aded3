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

    /// <summary>L_reg of Eq. (9) of what was trained, at its end; null where the trial was not trained to its end, and for methods without singular vectors.</summary>
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
