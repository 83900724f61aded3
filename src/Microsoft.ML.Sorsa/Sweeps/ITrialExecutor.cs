namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>Where trials run.</summary>
internal interface ITrialExecutor
{
    /// <summary>Runs a trial to its end, and has written it to the study when the task is done.</summary>
    /// <param name="plan">The trial, which the study has as running.</param>
    /// <param name="report">Told of each point of the curve.</param>
    /// <param name="cancellationToken">Ends it; the study keeps it as running.</param>
    /// <returns>Its end: completed, pruned, or failed for a reason of its own. What would befall every trial is thrown.</returns>
    Task<TrialResult> RunAsync(TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken);
}
