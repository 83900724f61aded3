namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Who runs the trials of an experiment, where they do not run in its own process: see <see cref="SorsaExperiment.SetTrialExecutor"/>.
/// </summary>
public interface ITrialExecutor
{
    /// <summary>Runs a trial to its end, and has written it to the study when the task is done.</summary>
    /// <param name="plan">The trial, which the study has as running.</param>
    /// <param name="report">Told of each point of the curve.</param>
    /// <param name="cancellationToken">Ends it; the study keeps it as running.</param>
    /// <returns>Its end: completed, pruned, or failed for a reason of its own. What would befall every trial is thrown.</returns>
    Task<TrialResult> RunAsync(TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken);
}

/// <summary>All that whoever runs a trial has to know.</summary>
/// <param name="Settings">Its number and parameters.</param>
/// <param name="Limits">By evaluation, from the first: the largest lowest-loss-so-far with which it goes on.</param>
public sealed record TrialPlan(TrialSettings Settings, IReadOnlyList<double> Limits)
{
    /// <summary>Whether the trial ends after this curve's last point.</summary>
    internal bool IsToEnd(IReadOnlyList<CurvePoint> curve) =>
        curve.Count <= Limits.Count && curve.Min(point => point.Loss) > Limits[curve.Count - 1];
}
