namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Told what happens in an experiment; one call at a time, on the threads of the experiment. What it throws is written to ML.NET's log as a
/// warning, and the experiment goes on; an <see cref="OperationCanceledException"/> ends the experiment.
/// </summary>
public interface IMonitor
{
    /// <summary>A trial starts.</summary>
    void ReportRunningTrial(TrialSettings settings);

    /// <summary>A trial was trained to its end, or pruned. Also called for the trials that a study which goes on has already.</summary>
    void ReportCompletedTrial(TrialResult result);

    /// <summary>A trial ended with an error.</summary>
    void ReportFailTrial(TrialResult result);

    /// <summary>A trial is the best one so far.</summary>
    void ReportBestTrial(TrialResult result);

    /// <summary>The validation loss of a running trial was computed. Does nothing unless implemented.</summary>
    void ReportCurvePoint(TrialSettings settings, CurvePoint point)
    {
    }
}
