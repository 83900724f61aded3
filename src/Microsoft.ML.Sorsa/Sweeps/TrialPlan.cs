namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>All that whoever runs a trial has to know.</summary>
/// <param name="Settings">Its number and parameters.</param>
/// <param name="Limits">By look at the validation rows, from the first: the largest lowest-loss-so-far with which it goes on.</param>
internal sealed record TrialPlan(TrialSettings Settings, IReadOnlyList<double> Limits)
{
    /// <summary>Whether the trial ends after this curve's last look.</summary>
    public bool IsToEnd(IReadOnlyList<CurvePoint> curve) => curve.Count <= Limits.Count && curve.Min(point => point.Loss) > Limits[curve.Count - 1];
}
