using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa;

/// <summary>Gives <see cref="SorsaExperiment"/> workers on many machines.</summary>
public static class SorsaExperimentHangfireExtensions
{
    /// <summary>
    /// Keeps the study in a PostgreSQL database, and has its trials run by whoever runs a <see cref="SorsaSweepWorker"/> on it, as jobs of
    /// Hangfire. The experiment itself only proposes trials and decides their limits; it waits until there is a worker. Running it again,
    /// after a crash or with more trials, goes on with the study. With W trials at a time (<see
    /// cref="SorsaExperiment.SetMaxConcurrentTrials"/>), up to W workers have something to do.
    /// </summary>
    /// <param name="experiment">
    /// The experiment. Its metric must be one that workers know: <see cref="SweepMetric.ValidationLoss"/> or
    /// <see cref="SweepMetric.ExactMatch"/>.
    /// </param>
    /// <param name="connectionString">
    /// The database, in Npgsql's words: <c>Host=...;Database=...;Username=...;Password=...</c>. The user must be allowed to create tables;
    /// a pooler between must keep sessions (PgBouncer's session mode), since locks belong to them.
    /// </param>
    /// <param name="study">The study's name in the database.</param>
    /// <exception cref="ArgumentException">The connection string is none, or the name is empty.</exception>
    /// <remarks>
    /// When it runs, the experiment throws an <see cref="IOException"/> where the database cannot be reached, and an
    /// <see cref="InvalidOperationException"/> where the metric is a function of the program's, where
    /// <see cref="SorsaExperiment.SetStudy"/> was called as well, and where a trial failed on its workers four times for a reason
    /// that is not the trial's own.
    /// </remarks>
    public static SorsaExperiment SetHangfire(this SorsaExperiment experiment, string connectionString, string study)
    {
        ArgumentNullException.ThrowIfNull(experiment);
        ArgumentException.ThrowIfNullOrWhiteSpace(connectionString);
        ArgumentException.ThrowIfNullOrWhiteSpace(study);

        // Refuses what is no connection string.
        new PostgresStudyStore(connectionString, study).Dispose();
        return experiment.SetTrialExecutor(inputs =>
        {
            var store = new PostgresStudyStore(connectionString, study, inputs);
            var queue = TrialQueue.Open(connectionString, SorsaSweepWorker.Options.DefaultInvisibilityTimeout);
            return (store, new HangfireTrials(queue, store, study));
        });
    }
}
