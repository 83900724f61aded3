using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Sweeps;
using TorchSharp;

namespace Microsoft.ML.Sorsa;

/// <summary>An experiment that is set up and checked; runs once.</summary>
internal sealed class Sweep(IHostEnvironment env)
{
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

    public required string? CacheFolder { get; init; }

    /// <summary>Runs the trials here, or where <paramref name="remote"/> says.</summary>
    public async Task<ExperimentResult> RunAsync(RemoteTrials? remote, CancellationToken cancellationToken)
    {
        // Trials set the number of threads of libtorch, which is the process's: it is put back.
        int threads = torch.get_num_threads();
        var clock = Stopwatch.StartNew();
        string cache = CacheFolder ?? (StudyPath is null ? Directory.CreateTempSubdirectory("sorsa-svd-").FullName : StudyPath + ".svd");
        try
        {
            using IStudyStore store = remote?.Store ?? new SqliteStudyStore(StudyPath);
            using var runner = new TrialRunner(env, Trainer, SweptOptions.LargestRank(Trainer, Space), Data, Metric, ValidationView, cache, ThreadsPerTrial);
            StudyDefinition definition = Definition(runner.ModelFingerprint);
            store.Open(definition);
            using var local = new LocalTrials(runner, store, Metric.IsMaximized);
            var study = new Study(store, Space, Tuner, Pruning, Seed, TrialsAtATime, Metric.IsMaximized, Monitors)
            {
                Reduce = parameters => SweptOptions.Reduce(Trainer, parameters),
            };
            remote?.Begin();
            bool stoppedByTime = await study.RunAsync(remote?.Executor ?? local, MaxModels, () => clock.Elapsed >= Time, cancellationToken).ConfigureAwait(false);
            TrialResult best = study.Results.Best ?? throw NothingCompleted(study.Results.Trials);
            SorsaTransformer model = local.Take(best.TrialSettings.TrialId) ?? TrainAgain(runner, best, cancellationToken);
            return new ExperimentResult(study.Results, Space, model, Metric, runner.Shared, stoppedByTime);
        }
        finally
        {
            torch.set_num_threads(threads);
            if (CacheFolder is null && StudyPath is null)
            {
                Directory.Delete(cache, recursive: true);
            }
        }
    }

    /// <summary>What decides the trials: what a study that is opened again is compared with.</summary>
    public StudyDefinition Definition(string modelFingerprint)
    {
        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        HashSet<string> varied = [.. Space.Select(option => option.Key)];
        return new StudyDefinition(
        [
            new("model", modelFingerprint),
            new("data", Data.Fingerprint()),
            new("metric", Metric.Name),
            new("metric is better", Metric.IsMaximized ? "higher" : "lower"),
            new("tuner", Tuner.Description),
            new("pruning", Pruning.Description),
            new("seed", Text(Seed)),
            new("trials at a time", Text(TrialsAtATime)),
            new("threads per trial", Text(ThreadsPerTrial)),
            .. Trainer.ToTexts().Where(option => !varied.Contains(option.Key)).Select(option => KeyValuePair.Create($"trainer.{option.Key}", option.Value)),
            .. Space.Select((option, place) => KeyValuePair.Create($"search space.{option.Key}", string.Create(CultureInfo.InvariantCulture, $"{option.Value.Description} (option {place + 1})"))),
        ]);
    }

    /// <summary>The best trial ran elsewhere, or before this process began: what it was trained from is all here.</summary>
    private SorsaTransformer TrainAgain(TrialRunner runner, TrialResult best, CancellationToken cancellationToken)
    {
        using IChannel channel = env.Register(nameof(Sweep)).Start("Best model");
        channel.Info(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture, $"Trial {best.TrialSettings.TrialId}, the best, is trained once more for its model."));
        Task<(TrialResult Result, SorsaTransformer? Model)> again = Task.Factory.StartNew(
            () => runner.Run(new TrialPlan(best.TrialSettings, []), _ => { }, cancellationToken), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        (TrialResult result, SorsaTransformer? model) = again.GetAwaiter().GetResult();
        if (model is null)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"Trial {best.TrialSettings.TrialId} was completed before, and cannot be trained again here: {result.Error}"));
        }

        if (result.Metric != best.Metric)
        {
            channel.Warning(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture, $"Trained again, trial {best.TrialSettings.TrialId} has a {Metric.Name} of {result.Metric} and had {best.Metric}: it ran on a machine that computes otherwise, or the metric is not the same each time."));
        }

        return model;
    }

    private static InvalidOperationException NothingCompleted(IReadOnlyList<TrialResult> trials)
    {
        string[] reasons = [.. trials.Where(trial => trial.Error is not null).Select(trial => string.Create(CultureInfo.InvariantCulture, $"trial {trial.TrialSettings.TrialId}: {trial.Error}"))];
        return new InvalidOperationException($"No trial of {trials.Count} was trained to its end.{Environment.NewLine}  {string.Join(Environment.NewLine + "  ", reasons)}");
    }
}

/// <summary>Trials that run in other processes.</summary>
/// <param name="Store">Where the workers write, too; the sweep disposes it.</param>
/// <param name="Executor">Gives trials away and waits for their ends.</param>
/// <param name="Begin">Hands over what workers need, once the study is open.</param>
internal sealed record RemoteTrials(IStudyStore Store, ITrialExecutor Executor, Action Begin);
