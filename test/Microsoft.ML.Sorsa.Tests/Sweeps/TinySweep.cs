using System.Globalization;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tests.Surface;
using Npgsql;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>An experiment of a few seconds over the bundled model, and whoever runs its trials.</summary>
internal static class TinySweep
{
    /// <summary>The least that a worker takes.</summary>
    public static readonly TimeSpan TimeOut = TimeSpan.FromSeconds(3);

    /// <summary>Six trials of which some are pruned, two at a time.</summary>
    public static SorsaExperiment Experiment(MLContext mlContext) => mlContext.Sorsa().CreateExperiment()
        .SetTrainer(Trainer(epochs: 6))
        .SetDataset(TinyTask.Data(mlContext), validationFraction: 0.25)
        .SetSearchSpace(new SorsaSearchSpace { ["Gamma"] = new UniformDoubleOption(1e-5, 1e-2, logBase: true), ["Rank"] = new UniformIntOption(2, 6), ["LearningRate"] = new UniformDoubleOption(1e-4, 5e-3, logBase: true) })
        .SetTuner(new RandomSearchTuner())
        .SetPruning(new PruningOptions { MinimumTrials = 2 })
        .SetMaxModelToExplore(6)
        .SetMaxConcurrentTrials(2)
        .SetThreadsPerTrial(1);

    /// <summary>One trial.</summary>
    /// <param name="mlContext">ML.NET's.</param>
    /// <param name="epochs">An epoch has three steps.</param>
    public static SorsaExperiment OneTrial(MLContext mlContext, int epochs) => Experiment(mlContext).SetTrainer(Trainer(epochs)).SetMaxModelToExplore(1).SetMaxConcurrentTrials(1).SetPruning(null);

    public static SorsaSweepWorker Worker(string connectionString, string cache, string? model = null) =>
        new(new MLContext(), connectionString, model ?? TestData.TinyLlama, new SorsaSweepWorker.Options { CacheFolder = cache, InvisibilityTimeout = TimeOut });

    /// <summary>Everything of a table but the time that it took, numbers to their last bit.</summary>
    public static string Table(IEnumerable<TrialResult> trials) => string.Join(Environment.NewLine, trials.Select(trial => string.Create(CultureInfo.InvariantCulture,
        $"{trial.TrialSettings.TrialId} {string.Join(' ', trial.TrialSettings.Parameters.Select(parameter => $"{parameter.Key}={ParameterText.Of(parameter.Value)}"))} {trial.State} {trial.Metric:R} {trial.Orthonormality:R} {trial.Error} [{string.Join(' ', trial.Curve.Select(point => $"{point.Step}:{point.Loss:R}:{point.Orthonormality:R}"))}]")));

    /// <summary>A number of a database.</summary>
    public static long Count(string connectionString, string sql)
    {
        using var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand("SELECT count(*) FROM " + sql, connection);
        return (long)command.ExecuteScalar()!;
    }

    private static SorsaFineTuningTrainer.Options Trainer(int epochs)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.NumberOfEpochs = epochs;
        return options;
    }
}
