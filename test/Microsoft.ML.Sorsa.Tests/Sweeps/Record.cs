using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>What an experiment told.</summary>
internal sealed class Record : IMonitor
{
    public List<int> Running { get; } = [];

    public List<TrialResult> Completed { get; } = [];

    public List<TrialResult> Failed { get; } = [];

    public List<TrialResult> Best { get; } = [];

    public int Points { get; private set; }

    public Action<TrialSettings, CurvePoint>? OnPoint { get; init; }

    public void ReportRunningTrial(TrialSettings settings) => Running.Add(settings.TrialId);

    public void ReportCompletedTrial(TrialResult result) => Completed.Add(result);

    public void ReportFailTrial(TrialResult result) => Failed.Add(result);

    public void ReportBestTrial(TrialResult result) => Best.Add(result);

    public void ReportCurvePoint(TrialSettings settings, CurvePoint point)
    {
        Points++;
        OnPoint?.Invoke(settings, point);
    }
}
