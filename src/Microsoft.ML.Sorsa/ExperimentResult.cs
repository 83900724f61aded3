using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa;

/// <summary>What an experiment found. Owns the best model.</summary>
public sealed class ExperimentResult : IDisposable
{
    internal ExperimentResult(TrialHistory history, SorsaTransformer model, SweepMetric metric, SharedWork shared, bool stoppedByTime)
    {
        Trials = history.Trials;
        BestRun = history.Best!;
        Model = model;
        Metric = metric;
        SharedWork = shared;
        StoppedByTime = stoppedByTime;
    }

    /// <summary>The best of the completed trials; of equal ones the earliest.</summary>
    public TrialResult BestRun { get; }

    /// <summary>Every trial of the study in the order of their numbers, those of earlier runs of it included.</summary>
    public IReadOnlyList<TrialResult> Trials { get; }

    /// <summary>The model of <see cref="BestRun"/>. Where that trial ran in another process or an earlier run, it was trained once more, to the same bits on the same machine.</summary>
    public SorsaTransformer Model { get; }

    /// <summary>What was looked for.</summary>
    public SweepMetric Metric { get; }

    /// <summary>What was done once instead of for every trial, in this process.</summary>
    public SharedWork SharedWork { get; }

    /// <summary>The time of SetTrainingTimeInSeconds was over before the trials were: how many there are depends on the machine, though not what each of them gave.</summary>
    public bool StoppedByTime { get; }

    /// <summary>Frees <see cref="Model"/>.</summary>
    public void Dispose() => Model.Dispose();
}
