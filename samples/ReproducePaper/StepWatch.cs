using System.Diagnostics;
using CompareMethods;
using Microsoft.ML.Sorsa.Training;

namespace ReproducePaper;

/// <summary>Keeps what the trainer tells of every step.</summary>
/// <param name="analysed">The matrices are looked at every so many steps; null: never. Such steps take longer, and are not timed.</param>
internal sealed class StepWatch(int? analysed) : IProgress<SorsaTrainingProgress>
{
    private readonly List<StepRecord> _steps = [];
    private readonly List<double> _seconds = [];
    private long _lastReport;
    private SorsaTrainingProgress? _last;

    public void Report(SorsaTrainingProgress value)
    {
        long now = Stopwatch.GetTimestamp();
        bool isAnalysed = analysed is { } every
            && (value.Step % every == 0 || (value.Step - 1) % every == 0 || value.Step == value.TotalSteps);
        if (_last is not null && !isAnalysed)
        {
            _seconds.Add(Stopwatch.GetElapsedTime(_lastReport, now).TotalSeconds);
        }

        (_last, _lastReport) = (value, now);
        _steps.Add(new StepRecord(value.Step, value.Loss, value.GradientNorm, value.Orthonormality));
    }

    public RunResult AddTo(RunResult result) => result with
    {
        TrainableParameters = _last?.TrainableParameters ?? 0,
        SecondsPerStep = _seconds.Count == 0 ? null : Statistics.Median(_seconds),
        ValidationLoss = _last?.ValidationLoss,
        Steps = [.. _steps],
    };
}
