using System.Data.Common;
using Hangfire.PostgreSql;
using Hangfire.PostgreSql.Factories;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// Hangfire's tables, in its usual schema, so that its dashboard shows the trials without being told where; in a queue of their own.
/// </summary>
internal static class TrialQueue
{
    public const string Name = "sorsa";

    /// <summary>Opens the tables, and makes them if they are not there.</summary>
    /// <param name="connectionString">Npgsql's.</param>
    /// <param name="invisibilityTimeout">
    /// After so long without a sign of life of a job's worker the job is another's; counts for workers.
    /// </param>
    /// <exception cref="IOException">The server cannot be reached, or refuses.</exception>
    public static PostgreSqlStorage Open(string connectionString, TimeSpan invisibilityTimeout)
    {
        using var session = new PostgresSession(connectionString, "The queue of trials");
        session.Open();
        PostgreSqlStorage? storage = null;
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
                storage = new PostgreSqlStorage(new NpgsqlConnectionFactory(connectionString, options), options);
            }
            catch (DbException e)
            {
                throw session.Explain(e);
            }
        });
        return storage!;
    }
}
