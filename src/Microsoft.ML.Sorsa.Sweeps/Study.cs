namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Proposes trials, has them run, and writes them down. Trial k starts when trials 1 to k − W are done, W the trials at a time, and its
/// parameters and limits follow from their results alone: with the same seed the same study comes out, whoever is faster, and however often
/// it was interrupted.
/// </summary>
internal sealed class Study(
    IStudyStore store,
    SorsaSearchSpace space,
    ITuner tuner,
    PruningRules pruning,
    int seed,
    int trialsAtATime,
    bool isMaximized,
    IReadOnlyList<IMonitor> monitors)
{
    private readonly Lock _turn = new();
    private readonly SortedDictionary<int, TrialResult> _finished = [];

    /// <summary>What a trial's method does not have is left out of its parameters.</summary>
    public Func<IReadOnlyDictionary<string, object?>, IReadOnlyDictionary<string, object?>> Reduce { get; init; } =
        parameters => parameters;

    /// <summary>Told what went wrong without ending the study: trials that failed, monitors that threw.</summary>
    public Action<string> Warn { get; init; } = _ => { };

    /// <summary>Runs trials up to a number or a time.</summary>
    /// <param name="executor">Where they run.</param>
    /// <param name="most">The trials of the study in all.</param>
    /// <param name="isLate">Once it is, no trial starts; those that run come to their end.</param>
    /// <param name="cancellationToken">Ends those that run, too.</param>
    /// <returns>Whether the time ended it, and not the number of trials or the tuner.</returns>
    public async Task<bool> RunAsync(ITrialExecutor executor, int most, Func<bool> isLate, CancellationToken cancellationToken)
    {
        Dictionary<int, TrialResult> known = new(store.Read(space));
        IEnumerable<TrialResult> finished = known.Values.Where(trial => trial.State != TrialState.Running);
        foreach (TrialResult trial in finished.OrderBy(trial => trial.TrialSettings.TrialId))
        {
            Tell(trial);
        }

        using var others = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = new Dictionary<int, Task<TrialResult>>();
        int next = 1;
        bool exhausted = false, late = false;
        try
        {
            while (true)
            {
                while (running.Count < trialsAtATime && next <= most && !exhausted && IsDone(next - trialsAtATime))
                {
                    if (_finished.ContainsKey(next))
                    {
                        next++;
                        continue;
                    }

                    cancellationToken.ThrowIfCancellationRequested();
                    TrialPlan? plan = Plan(next, known);
                    late = plan is not null && isLate();
                    if (plan is null || late)
                    {
                        exhausted = true;
                        break;
                    }

                    running.Add(next++, RunAsync(executor, plan, others.Token));
                }

                if (running.Count == 0)
                {
                    return late;
                }

                Task<TrialResult> first = await Task.WhenAny(running.Values).ConfigureAwait(false);
                TrialResult result = await first.ConfigureAwait(false);
                running.Remove(result.TrialSettings.TrialId);
                if (result.State == TrialState.Failed)
                {
                    Warn($"Trial {ParameterText.Of(result.TrialSettings.TrialId)} failed, and the sweep goes on: {result.Error}");
                }

                Tell(result);
            }
        }
        catch
        {
            await others.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(running.Values.Select(task => task.ContinueWith(_ => { }, TaskScheduler.Default))).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>All trials with an end, by their number.</summary>
    public TrialHistory Results => new([.. _finished.Values], isMaximized);

    private bool IsDone(int upTo) => Enumerable.Range(1, Math.Max(upTo, 0)).All(_finished.ContainsKey);

    private TrialPlan? Plan(int trialId, Dictionary<int, TrialResult> known)
    {
        TrialResult[] history = [.. _finished.Values.TakeWhile(trial => trial.TrialSettings.TrialId <= trialId - trialsAtATime)];
        IReadOnlyDictionary<string, object?>? parameters = known.TryGetValue(trialId, out TrialResult? interrupted)
            ? interrupted.TrialSettings.Parameters
            : tuner.Propose(space, trialId, new TrialHistory(history, isMaximized), seed) is { } proposed
                ? Reduce(Verified(proposed))
                : null;
        return parameters is null ? null : new TrialPlan(new TrialSettings(trialId, parameters), pruning.Limits(history));
    }

    /// <summary>As the study will read it again, in the order of the space: a tuner may be the user's.</summary>
    private OrderedDictionary<string, object?> Verified(IReadOnlyDictionary<string, object?> proposed)
    {
        if (proposed.Count != space.Count || space.Any(option => !proposed.ContainsKey(option.Key)))
        {
            throw new InvalidOperationException(
                $"The tuner proposes values for {string.Join(", ", proposed.Keys.Order(StringComparer.Ordinal))}; it must for every option "
                + $"of the search space and no other: {string.Join(", ", space.Select(option => option.Key))}.");
        }

        return space.Parameters((name, option) =>
        {
            string text = ParameterText.Of(proposed[name]);
            try
            {
                return option.Parse(text);
            }
            catch (InvalidDataException e)
            {
                throw new InvalidOperationException(
                    $"The tuner proposes {name} = {text}, which is no value of the search space's {option.Description}.", e);
            }
        });
    }

    private Task<TrialResult> RunAsync(ITrialExecutor executor, TrialPlan plan, CancellationToken cancellationToken)
    {
        store.Start(plan);
        Tell(monitor => monitor.ReportRunningTrial(plan.Settings));
        return executor.RunAsync(plan, point => Tell(monitor => monitor.ReportCurvePoint(plan.Settings, point)), cancellationToken);
    }

    private void Tell(TrialResult result)
    {
        TrialResult? best = Results.Best;
        _finished.Add(result.TrialSettings.TrialId, result);
        Tell(monitor =>
        {
            if (result.State == TrialState.Failed)
            {
                monitor.ReportFailTrial(result);
            }
            else
            {
                monitor.ReportCompletedTrial(result);
            }
        });
        if (Results.Best is { } now && !ReferenceEquals(now, best))
        {
            Tell(monitor => monitor.ReportBestTrial(now));
        }
    }

    /// <summary>
    /// Hours of training must not be lost because a window was closed: what a monitor throws is a warning, but for a wish to end it all.
    /// </summary>
    private void Tell(Action<IMonitor> tell)
    {
        lock (_turn)
        {
            foreach (IMonitor monitor in monitors)
            {
                try
                {
                    tell(monitor);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    Warn($"The monitor {monitor.GetType().Name} threw {e.GetType().Name}, and the sweep goes on: {e.Message}");
                }
            }
        }
    }
}
