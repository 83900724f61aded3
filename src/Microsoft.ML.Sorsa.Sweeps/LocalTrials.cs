
namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>Runs trials in this process, each on a thread of its own, and keeps the model of the best one.</summary>
internal sealed class LocalTrials(TrialRunner runner, IStudyStore store, bool isMaximized) : ITrialExecutor, IDisposable
{
    private readonly Lock _turn = new();
    private TrialResult? _best;
    private SorsaTransformer? _model;

    public Task<TrialResult> RunAsync(TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken) =>
        Task.Factory.StartNew(
            () => Run(plan, report, cancellationToken), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>The trial's model, if it is the one that was kept; the caller's from then on.</summary>
    public SorsaTransformer? TakeModel(int trialId)
    {
        if (_best?.TrialSettings.TrialId != trialId)
        {
            return null;
        }

        SorsaTransformer? model = _model;
        _model = null;
        return model;
    }

    public void Dispose() => _model?.Dispose();

    private TrialResult Run(TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken)
    {
        int evaluation = 0;
        (TrialResult result, SorsaTransformer? model) = runner.Train(plan, point =>
        {
            store.AddCurvePoint(plan.Settings.TrialId, ++evaluation, point);
            report(point);
        }, cancellationToken);
        try
        {
            store.Finish(result);
        }
        catch
        {
            model?.Dispose();
            throw;
        }

        if (model is not null)
        {
            KeepIfBest(result, model);
        }

        return result;
    }

    private void KeepIfBest(TrialResult result, SorsaTransformer model)
    {
        lock (_turn)
        {
            TrialResult[] trials = _best is null ? [result] : [.. new[] { _best, result }.OrderBy(trial => trial.TrialSettings.TrialId)];
            bool isBest = ReferenceEquals(new TrialHistory(trials, isMaximized).Best, result);
            (isBest ? _model : model)?.Dispose();
            (_best, _model) = isBest ? (result, model) : (_best, _model);
        }
    }
}
