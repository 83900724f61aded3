using Microsoft.ML.Sorsa.Sweeps;
using Npgsql;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Experiments for workers, and the workers.</summary>
internal static class TinySweep
{
    /// <summary>The least that a worker takes.</summary>
    public static readonly TimeSpan TimeOut = TimeSpan.FromSeconds(3);

    /// <summary>Six trials of which some are pruned, two at a time.</summary>
    public static SorsaExperiment Experiment => SweepTask.Experiment
        .SetTuner(new RandomSearchTuner()).SetPruning(new PruningOptions { MinimumTrials = 2 }).SetMaxConcurrentTrials(2);

    /// <summary>One trial.</summary>
    /// <param name="epochs">An epoch has twelve steps.</param>
    public static SorsaExperiment OneTrial(int epochs)
    {
        SorsaFineTuningTrainer.Options trainer = SweepTask.Trainer;
        trainer.NumberOfEpochs = epochs;
        return SweepTask.Experiment.SetTrainer(trainer).SetMaxModelToExplore(1);
    }

    public static SorsaSweepWorker Worker(string connectionString, string cache, string? model = null) =>
        new(
            SweepTask.Context,
            connectionString,
            model ?? TestData.TinyLlama,
            new SorsaSweepWorker.Options { CacheFolder = cache, InvisibilityTimeout = TimeOut });

    public static string Table(IEnumerable<TrialResult> trials) => string.Join(Environment.NewLine, trials.Select(SweepTask.Line));

    /// <summary>A number of a database.</summary>
    /// <param name="connectionString">The database.</param>
    /// <param name="from">What is counted, as it stands after FROM.</param>
    public static long Count(string connectionString, string from)
    {
        using var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand("SELECT count(*) FROM " + from, connection);
        return (long)command.ExecuteScalar()!;
    }
}
