using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Sweeps.Report;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>What an experiment found. Owns the best model.</summary>
public sealed class ExperimentResult : IDisposable
{
    private readonly SweepReport _report;

    internal ExperimentResult(
        TrialHistory history, SorsaSearchSpace space, SorsaTransformer model, SweepMetric metric, SharedWork shared, bool stoppedByTime,
        SweepOrigin origin)
    {
        _report = new SweepReport(history, metric.Name, space, shared, stoppedByTime, origin);
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

    /// <summary>
    /// The model of <see cref="BestRun"/>. Where that trial ran in another process or an earlier run, it was trained once more, to the same
    /// bits on the same machine.
    /// </summary>
    public SorsaTransformer Model { get; }

    /// <summary>What was optimised.</summary>
    public SweepMetric Metric { get; }

    /// <summary>What was done once instead of for every trial, in this process.</summary>
    public SharedWork SharedWork { get; }

    /// <summary>
    /// The time of SetTrainingTimeInSeconds was over before the trials were: how many there are depends on the machine, though not what
    /// each of them gave.
    /// </summary>
    public bool StoppedByTime { get; }

    /// <summary>
    /// Writes a report of the sweep as one HTML file that needs nothing else, no network either: what it was made of, γ against rank, the
    /// validation curves, all options together, orthonormality against γ, the importance of each parameter where there are trials enough,
    /// and a table of all trials. Numbers have at most four digits that count; all digits are in the titles that a mouse shows. The same
    /// study gives the same bytes.
    /// </summary>
    /// <param name="path">The file; it appears when it is whole, and replaces one that is there. Its folder must be there.</param>
    /// <exception cref="ArgumentException">The path is empty.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder is not there.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public void SaveReport(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        NewFile.Write(path, stream => ReportPage.Write(_report, stream));
    }

    /// <summary>Frees <see cref="Model"/>.</summary>
    public void Dispose() => Model.Dispose();
}
