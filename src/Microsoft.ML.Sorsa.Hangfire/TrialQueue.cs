using System.Data.Common;
using Hangfire;
using Hangfire.Common;
using Hangfire.PostgreSql;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// Hangfire's tables, in its usual schema, so that its dashboard shows the trials without being told where; in a queue of their own.
/// </summary>
internal static class TrialQueue
{
    public const string Name = "sorsa";

    /// <summary>
    /// What Hangfire does around a job: the attributes of <see cref="TrialJob.Run"/>, and the dashboard's counts. Its usual filters go on
    /// with other jobs when one ends, and make objects of types that the database names.
    /// </summary>
    public static IJobFilterProvider Filters { get; } = new JobFilterProviderCollection(
        new JobFilterAttributeFilterProvider(), new JobFilterCollection { new StatisticsHistoryAttribute() });

    /// <summary>Opens the tables, and makes them if they are not there.</summary>
    /// <param name="connectionString">Npgsql's.</param>
    /// <param name="invisibilityTimeout">
    /// After so long without a sign of life of a job's worker the job is another's; counts for workers.
    /// </param>
    /// <exception cref="IOException">The server cannot be reached, or refuses.</exception>
    public static TrialStorage Open(string connectionString, TimeSpan invisibilityTimeout)
    {
        HangfireLog.RemoveDisposed();
        using var session = new PostgresSession(connectionString, "The queue of trials");
        session.Open();
        TrialStorage? storage = null;
        session.InTurn(() =>
        {
            var options = new PostgreSqlStorageOptions
            {
                InvisibilityTimeout = invisibilityTimeout,

                // The sign of life: every fifth of the time-out, at most once a second, by a thread of the worker's.
                UseSlidingInvisibilityTimeout = true,
                QueuePollInterval = TimeSpan.FromMilliseconds(100),
            };
            try
            {
                storage = new TrialStorage(connectionString, options);
            }
            catch (DbException e)
            {
                throw session.Explain(e);
            }
        });
        return storage!;
    }
}
