using System.Diagnostics;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// What a study takes around its trials: the same calls of the store, the tuner, the rules and a monitor, with trials that take no time.
/// </summary>
internal static class StudyOverhead
{
    private const int Trials = 64;

    /// <summary>Per trial, the mean of a whole study in a file.</summary>
    public static double Milliseconds(string path)
    {
        using var store = new SqliteStudyStore(path);
        store.Open(new StudyDefinition([]));
        var study = new Study(
            store, SorsaSearchSpace.Paper(), new TreeParzenTuner(), new PruningRules(new PruningOptions()), 0, 1, isMaximized: false,
            [new Silent()]);
        var clock = Stopwatch.StartNew();
        study.RunAsync(new NoTime(store), Trials, () => false, CancellationToken.None).GetAwaiter().GetResult();
        return clock.Elapsed.TotalMilliseconds / Trials;
    }

    private sealed class NoTime(SqliteStudyStore store) : ITrialExecutor
    {
        public Task<TrialResult> RunAsync(TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken)
        {
            var curve = new List<CurvePoint>();
            for (int look = 1; look <= TrialRunner.Evaluations; look++)
            {
                curve.Add(new CurvePoint(look, 1.0 / look, 1e-3));
                store.AddCurvePoint(plan.Settings.TrialId, look, curve[^1]);
                report(curve[^1]);
            }

            var result = new TrialResult
            {
                TrialSettings = plan.Settings,
                State = TrialState.Completed,
                Metric = curve[^1].Loss,
                Curve = curve
            };
            store.Finish(result);
            return Task.FromResult(result);
        }
    }

    private sealed class Silent : IMonitor
    {
        public void ReportRunningTrial(TrialSettings settings)
        {
        }

        public void ReportCompletedTrial(TrialResult result)
        {
        }

        public void ReportFailTrial(TrialResult result)
        {
        }

        public void ReportBestTrial(TrialResult result)
        {
        }
    }
}
