using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using Spectre.Console;

namespace ReproducePaper;

/// <summary>Does runs, some side by side; those that are done already are read.</summary>
internal sealed class RunQueue(StudyFolder folder, int processes, int threads, CancellationToken cancellationToken)
{
    /// <summary>Runs that were trained now, not read.</summary>
    public int Trained { get; private set; }

    /// <summary>The results, in the order of the runs.</summary>
    public RunResult[] Do(string title, IReadOnlyList<Run> runs)
    {
        RunResult?[] results = [.. runs.Select(folder.Find)];
        int[] left = [.. Enumerable.Range(0, runs.Count).Where(i => results[i] is null)];
        Trained += left.Length;
        Console.WriteLine(FormattableString.Invariant($"{title}: {runs.Count} runs, {runs.Count - left.Length} of them done before"));
        if (left.Length == 0)
        {
            return results!;
        }

        if (!AnsiConsole.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
        {
            DoAll(() => { });
            return results!;
        }

        AnsiConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(),
                new RemainingTimeColumn())
            .Start(context =>
            {
                ProgressTask task = context.AddTask(title, maxValue: left.Length);
                DoAll(() => task.Increment(1));
            });
        return results!;

        void DoAll(Action done)
        {
            var failures = new ConcurrentQueue<Exception>();
            var oneByOne = Partitioner.Create(left, EnumerablePartitionerOptions.NoBuffering);
            Parallel.ForEach(oneByOne, new ParallelOptions { MaxDegreeOfParallelism = processes }, i =>
            {
                if (cancellationToken.IsCancellationRequested)
                {
                    return;
                }

                try
                {
                    RunResult result = RunProcess.Start(folder, runs[i], threads, cancellationToken);
                    folder.Add(result);
                    results[i] = result;
                }
                catch (Exception e)
                {
                    // The others are done all the same; then it is said.
                    failures.Enqueue(e);
                }

                done();
            });
            cancellationToken.ThrowIfCancellationRequested();
            if (failures.TryDequeue(out Exception? first))
            {
                ExceptionDispatchInfo.Throw(first);
            }
        }
    }
}
