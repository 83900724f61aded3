using Hangfire;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// A trial as a job of Hangfire, on its worker. Running it twice, one after the other or at the same time, gives one result.
/// </summary>
internal sealed class TrialJob(string connectionString, WorkerStudies studies)
{
    /// <summary>Trains a trial to its end and writes that down.</summary>
    /// <param name="study">The study's name in the database.</param>
    /// <param name="trial">The trial's number.</param>
    /// <param name="cancellationToken">Cancelled when the worker stops, which gives the job back, and when the job is deleted.</param>
    /// <exception cref="InvalidDataException">The worker's model folder is not that of the study. Another worker may have it.</exception>
    [AutomaticRetry(Attempts = 3, DelaysInSeconds = [1, 2, 5])]
    [JobDisplayName("Trial {1} of {0}")]
    [Queue(TrialQueue.Name)]
    public void Run(string study, int trial, CancellationToken cancellationToken)
    {
        // The connection that has the trial's lock is the one that writes: whoever has lost the lock with it cannot write any more.
        using var store = new PostgresStudyStore(connectionString, study);
        store.Join();
        if (!store.Claim(trial, cancellationToken))
        {
            return;
        }

        // What an earlier worker left of the curve stays: training again gives the same points.
        int evaluation = 0;
        TrialResult result = studies.Run(store, runner =>
            runner.Run(store.ReadPlan(trial), point => store.AddCurvePoint(trial, ++evaluation, point), cancellationToken));
        store.Finish(result);
    }
}
