using System.Diagnostics;
using Microsoft.ML.Sorsa.Training;

namespace CompareMethods;

/// <summary>What the trainer tells, and when.</summary>
internal sealed class TrainingWatch : IProgress<SorsaTrainingProgress>
{
    private readonly List<double> _losses = [];
    private readonly List<double> _seconds = [];
    private long _lastReport;

    public SorsaTrainingProgress? Last { get; private set; }

    public double? SecondsPerStep => _seconds.Count == 0 ? null : Statistics.Median(_seconds);

    /// <summary>One batch's loss is noisy: the mean of the last tenth.</summary>
    public double? FinalLoss => _losses.Count == 0 ? null : _losses.TakeLast(Math.Max(1, _losses.Count / 10)).Average();

    public long PeakMemory { get; private set; }

    public void Report(SorsaTrainingProgress value)
    {
        long now = Stopwatch.GetTimestamp();
        if (Last is not null)
        {
            _seconds.Add(Stopwatch.GetElapsedTime(_lastReport, now).TotalSeconds);
        }

        (Last, _lastReport) = (value, now);
        _losses.Add(value.Loss);
        if (value.Step == value.TotalSteps)
        {
            PeakMemory = CompareMethods.PeakMemory.Read();
        }
    }
}
