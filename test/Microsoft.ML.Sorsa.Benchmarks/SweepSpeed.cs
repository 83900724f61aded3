using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Training;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// A sweep against the same trials as separate runs: each trial is preceded by a run of the same options by itself, from the model's
/// folder to its end, so that the two are interleaved; the sweep's time is what is left. What is tried is drawn at random: it does not
/// depend on what was pruned, so that both try the same.
/// </summary>
internal static class SweepSpeed
{
    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "trials"]);
        SweepTask task = SweepTask.Of(arguments.Text("model") ?? Folders.TinyLlama, rows: 1000, validationRows: 100);
        int trials = arguments.Number("trials", 16);
        string folder = Directory.CreateTempSubdirectory("sorsa-sweep-").FullName;
        try
        {
            // The first training of a process starts libtorch and compiles: neither side should pay for it.
            Options warmUp = task.Trainer();
            warmUp.MaxSteps = 2;
            task.Context.Sorsa().FineTune(warmUp).Fit(task.Train).Dispose();
            var alone = new SeparateRuns(task);
            var clock = Stopwatch.StartNew();
            using ExperimentResult result = task.Experiment(SorsaSearchSpace.Paper())
                .SetTuner(new RandomSearchTuner())
                .SetMaxModelToExplore(trials)
                .SetStudy(Path.Combine(folder, "study.db"))
                .SetMonitor(alone)
                .Run();
            double total = clock.Elapsed.TotalSeconds, separate = alone.Seconds.Sum(), sweep = total - separate;

            Console.WriteLine("| trial | parameters | evaluations | validation loss | s | alone: loss | alone: s |");
            Console.WriteLine("|---|---|---|---|---|---|---|");
            foreach ((TrialResult trial, double loss, double seconds) in result.Trials.Zip(alone.Losses, alone.Seconds))
            {
                string parameters = string.Join(", ", trial.TrialSettings.Parameters.Select(
                    parameter => string.Create(CultureInfo.InvariantCulture, $"{parameter.Key} {parameter.Value:G3}")));
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"| {trial.TrialSettings.TrialId} | {parameters} " +
                    $"| {trial.Curve.Count}{(trial.State == TrialState.Pruned ? ", ended" : "")} " +
                    $"| {trial.Curve.Min(point => point.Loss):F4} | {trial.DurationInMilliseconds / 1000:F1} " +
                    $"| {loss:F4} | {seconds:F1} |"));
            }

            Console.WriteLine();
            Console.WriteLine(FormattableString.Invariant(
                $"{trials} trials: sweep {sweep:F1} s, separate runs {separate:F1} s, ratio {sweep / separate:F2} (aim 0.6)"));
            Console.WriteLine(FormattableString.Invariant(
                $"best validation loss: sweep {result.BestRun.Metric:F4}, separate runs {alone.Losses.Min():F4}"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"around a trial of {TrialRunner.Evaluations} evaluations (store, tuner, monitor): " +
                $"{StudyOverhead.Milliseconds(Path.Combine(folder, "empty.db")):F1} ms (aim 20)"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Runs each trial's options by themselves when the trial is about to start.</summary>
    private sealed class SeparateRuns(SweepTask task) : IMonitor
    {
        public List<double> Seconds { get; } = [];

        public List<double> Losses { get; } = [];

        public void ReportRunningTrial(TrialSettings settings)
        {
            var clock = Stopwatch.StartNew();
            Options options = SweptOptions.Apply(task.Trainer(), settings.Parameters);
            options.EvaluationSteps = task.StepsBetweenLooks;
            var lowest = new LowestLoss();
            options.Progress = lowest;
            task.Context.Sorsa().FineTune(options).Fit(task.Train, task.Validation).Dispose();
            Losses.Add(lowest.Value);
            Seconds.Add(clock.Elapsed.TotalSeconds);
        }

        public void ReportCompletedTrial(TrialResult result)
        {
        }

        public void ReportFailTrial(TrialResult result) => throw new InvalidOperationException(result.Error);

        public void ReportBestTrial(TrialResult result)
        {
        }
    }

    private sealed class LowestLoss : IProgress<SorsaTrainingProgress>
    {
        public double Value { get; private set; } = double.PositiveInfinity;

        public void Report(SorsaTrainingProgress value) => Value = Math.Min(Value, value.ValidationLoss ?? double.PositiveInfinity);
    }
}
