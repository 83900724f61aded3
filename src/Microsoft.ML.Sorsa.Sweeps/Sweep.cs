using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Sweeps.Report;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>An experiment that is set up and checked; runs once.</summary>
internal sealed class Sweep
{
    /// <summary>What a message lists: it is read by a person.</summary>
    private const int MostReasons = 10;

    public required SorsaCatalog Catalog { get; init; }

    public required SorsaFineTuningTrainer.Options Trainer { get; init; }

    public required SorsaSearchSpace Space { get; init; }

    public required SweepData Data { get; init; }

    public required IDataView? ValidationView { get; init; }

    public required ITuner Tuner { get; init; }

    public required PruningRules Pruning { get; init; }

    public required SweepMetric Metric { get; init; }

    public required IReadOnlyList<IMonitor> Monitors { get; init; }

    public required int MaxModels { get; init; }

    public required TimeSpan Time { get; init; }

    public required int TrialsAtATime { get; init; }

    public required int ThreadsPerTrial { get; init; }

    public required int Seed { get; init; }

    public required string? StudyPath { get; init; }

    public required string? DecompositionFolder { get; init; }

    /// <summary>Refuses what other processes cannot do.</summary>
    /// <exception cref="InvalidOperationException">The metric is the program's own; the study is in a file.</exception>
    public void VerifyForOtherProcesses()
    {
        if (!Metric.IsBuiltIn)
        {
            throw new InvalidOperationException($"The metric '{Metric.Name}' is a function of the program that runs the experiment, which "
                + $"no worker knows. Use SweepMetric.{nameof(SweepMetric.ValidationLoss)} or SweepMetric.{nameof(SweepMetric.ExactMatch)} "
                + "with workers.");
        }

        if (StudyPath is not null)
        {
            throw new InvalidOperationException($"The study is kept in '{StudyPath}' by {nameof(SorsaExperiment.SetStudy)}, and where "
                + $"workers see it by {nameof(SorsaExperiment.SetTrialExecutor)}, which SetHangfire calls. Call one of them.");
        }
    }

    /// <summary>Runs the trials here, or with <paramref name="createExecutor"/> where that says.</summary>
    public async Task<ExperimentResult> RunAsync(
        Func<StudyInputs, (IStudyStore Store, ITrialExecutor Executor)>? createExecutor, CancellationToken cancellationToken)
    {
        // Trials set the number of threads of libtorch, which is the process's: it is put back.
        int threads = torch.get_num_threads();
        var clock = Stopwatch.StartNew();
        string folder = DecompositionFolder
            ?? (StudyPath is null ? Directory.CreateTempSubdirectory("sorsa-svd-").FullName : StudyPath + ".svd");
        try
        {
            int largestRank = SweptOptions.LargestRank(Trainer, Space);
            (IStudyStore Store, ITrialExecutor Executor)? remote = createExecutor?.Invoke(new StudyInputs(Trainer, largestRank, Data));
            using IStudyStore store = remote?.Store ?? new SqliteStudyStore(StudyPath);
            using var runner = new TrialRunner(
                Catalog.OpenBaseModel(Trainer, largestRank, folder), Trainer, Data, ValidationView, Metric, ThreadsPerTrial);
            store.Open(Definition(runner.ModelFingerprint, runner.HasModelFingerprint));
            using var local = new LocalTrials(runner, store, Metric.IsMaximized);
            using IChannel channel = Catalog.Environment.Start("Sweep");
            var study = new Study(store, Space, Tuner, Pruning, Seed, TrialsAtATime, Metric.IsMaximized, Monitors)
            {
                Reduce = parameters => SweptOptions.Reduce(Trainer, parameters),
                Warn = warning => channel.Warning(MessageSensitivity.None, warning),
            };
            bool stoppedByTime = await study.RunAsync(remote?.Executor ?? local, MaxModels, () => clock.Elapsed >= Time, cancellationToken)
                .ConfigureAwait(false);
            TrialResult best = study.Results.Best ?? throw NothingCompleted(study.Results.Trials);
            SorsaTransformer model = local.TakeModel(best.TrialSettings.TrialId) ?? TrainAgain(runner, best, cancellationToken);
            return new ExperimentResult(study.Results, Space, model, Metric, runner.SharedWork, stoppedByTime, new SweepOrigin(
                Path.GetFileName(Path.TrimEndingDirectorySeparator(Trainer.ModelFolder)), runner.ModelFingerprint, Data.Train.Count,
                Data.Validation.Count, Data.Fingerprint(), Trainer.Method, Seed, Trainer.Seed, store.Begun));
        }
        finally
        {
            torch.set_num_threads(threads);
            if (DecompositionFolder is null && StudyPath is null)
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    /// <summary>What decides the trials: what a study that is opened again is compared with.</summary>
    public StudyDefinition Definition(string modelFingerprint, Func<string, bool>? isModel = null)
    {
        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        HashSet<string> varied = [.. Space.Select(option => option.Key)];
        return new StudyDefinition(
        [
            new(StudyDefinition.ModelKey, modelFingerprint),
            new("data", Data.Fingerprint()),
            new(StudyDefinition.MetricKey, Metric.Name),
            new("metric is better", Metric.IsMaximized ? "higher" : "lower"),
            new("tuner", Tuner.Description),
            new("pruning", Pruning.Description),
            new("seed", Text(Seed)),
            new("trials at a time", Text(TrialsAtATime)),
            new(StudyDefinition.ThreadsKey, Text(ThreadsPerTrial)),
            .. Trainer.ToTexts().Where(option => !varied.Contains(option.Key) && OptionText.Decides(option.Key))
                .Select(option => KeyValuePair.Create(StudyDefinition.TrainerPrefix + option.Key, option.Value)),
            .. Space.Select((option, place) => KeyValuePair.Create(
                $"search space.{option.Key}",
                string.Create(CultureInfo.InvariantCulture, $"{option.Value.Description} (option {place + 1})"))),
        ])
        {
            IsModel = isModel,
        };
    }

    /// <summary>The best trial ran in another process, or before this one began: what it was trained from is all here.</summary>
    private SorsaTransformer TrainAgain(TrialRunner runner, TrialResult best, CancellationToken cancellationToken)
    {
        int trial = best.TrialSettings.TrialId;
        using IChannel channel = Catalog.Environment.Start("Best model");
        channel.Info(MessageSensitivity.None, string.Create(
            CultureInfo.InvariantCulture, $"Trial {trial}, the best, is trained once more for its model."));
        Task<(TrialResult Result, SorsaTransformer? Model)> again = Task.Factory.StartNew(
            () => runner.Train(new TrialPlan(best.TrialSettings, []), _ => { }, cancellationToken),
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        (TrialResult result, SorsaTransformer? model) = again.GetAwaiter().GetResult();
        if (model is null)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                $"Trial {trial} was completed before, and cannot be trained again here: {result.Error}"));
        }

        if (result.Metric != best.Metric)
        {
            channel.Warning(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture,
                $"Trained again, trial {trial} has a {Metric.Name} of {result.Metric} and had "
                + $"{best.Metric}: it ran on a machine that computes otherwise, or the metric is not the same each time."));
        }

        return model;
    }

    /// <summary>Trials that failed alike stand in one line.</summary>
    private static InvalidOperationException NothingCompleted(IReadOnlyList<TrialResult> trials)
    {
        string[] reasons =
        [
            .. trials.Where(trial => trial.Error is not null).GroupBy(trial => trial.Error, StringComparer.Ordinal).Select(alike =>
            {
                string[] numbers = [.. alike.Select(trial => trial.TrialSettings.TrialId.ToString(CultureInfo.InvariantCulture))];
                return $"{(numbers.Length == 1 ? "trial" : "trials")} {string.Join(", ", numbers)}: {alike.Key}";
            }),
        ];
        string line = Environment.NewLine + "  ";
        string counts = string.Create(CultureInfo.InvariantCulture,
            $"{trials.Count(trial => trial.State == TrialState.Failed)} failed, "
            + $"{trials.Count(trial => trial.State == TrialState.Pruned)} were ended early");
        return new InvalidOperationException(string.Create(
            CultureInfo.InvariantCulture, $"No trial of {trials.Count} was completed: {counts}.")
            + string.Concat(reasons.Take(MostReasons).Select(reason => line + reason))
            + (reasons.Length > MostReasons ? $"{line}and other reasons" : ""));
    }
}
