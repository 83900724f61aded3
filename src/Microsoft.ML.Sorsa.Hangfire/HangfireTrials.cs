using System.Data.Common;
using System.Globalization;
using Hangfire;
using Hangfire.Common;
using Hangfire.States;
using Hangfire.Storage;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa;

/// <summary>Gives trials to workers as jobs of Hangfire, and reads in the study what becomes of them.</summary>
internal sealed class HangfireTrials(JobStorage jobs, PostgresStudyStore store, string study) : ITrialExecutor
{
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromMilliseconds(50);

    private readonly BackgroundJobClient _client = new(jobs, TrialQueue.Filters);

    public async Task<TrialResult> RunAsync(TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken)
    {
        int trial = plan.Settings.TrialId, reported = 0;
        string job = CallHangfire(() => _client.Create(
            Job.FromExpression<TrialJob>(worker => worker.Run(study, trial, CancellationToken.None)), new EnqueuedState(TrialQueue.Name)));
        try
        {
            while (true)
            {
                // Before the trial: where the job has an end, the trial has one already.
                StateData? state = CallHangfire(() => StateOf(job));
                TrialResult now = store.Read(plan.Settings);
                foreach (CurvePoint point in now.Curve.Skip(reported))
                {
                    report(point);
                }

                // A worker that takes a trial over begins its curve anew, with the same points.
                reported = Math.Max(reported, now.Curve.Count);
                if (now.State != TrialState.Running)
                {
                    // The worker has ended it at its limit; its job is cancelled too, so that the dashboard tells it from those that were
                    // trained to their end.
                    if (now.State == TrialState.Pruned)
                    {
                        CallHangfire(() => _client.Delete(job));
                    }

                    return now;
                }

                RequireAlive(state, job, trial);
                await Task.Delay(s_pollInterval, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            CallHangfire(() => _client.Delete(job));
            throw;
        }
    }

    private StateData? StateOf(string job)
    {
        using IStorageConnection connection = jobs.GetConnection();
        return connection.GetStateData(job);
    }

    private T CallHangfire<T>(Func<T> call)
    {
        try
        {
            return call();
        }
        catch (Exception e) when (e is DbException or BackgroundJobClientException)
        {
            throw store.Unreachable(e.InnerException as DbException ?? e);
        }
    }

    private static string MessageOf(StateData state) =>
        state.Data is { } data && data.TryGetValue("ExceptionMessage", out string? message) ? message : "the worker did not say why.";

    private static void RequireAlive(StateData? state, string job, int trial)
    {
        if (state?.Name == FailedState.StateName)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                $"Trial {trial} could not be run (job {job}, after retries): {MessageOf(state)} "
                + $"Put that right and run the experiment again; it goes on with the study."));
        }

        if (state is null || state.Name == DeletedState.StateName || state.Name == SucceededState.StateName)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                $"Trial {trial} has no end, but its job {job} has ({state?.Name ?? "expired"}): somebody removed it. "
                + $"Run the experiment again; it goes on with the study."));
        }
    }
}
