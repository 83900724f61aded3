using System.Diagnostics;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Parts of a computation that takes some tens of microseconds, of a decoding step or a training's, on as many threads as libtorch has.
/// Threads of this class go on looking for work for a moment before they sleep: between two products of a decoding step there is less time
/// than waking a thread takes. Who is late finds nothing left to do, and nobody waits for a thread that has not begun.
/// </summary>
internal static class ParallelParts
{
    /// <summary>How long a thread looks for work before it sleeps: longer than what lies between two products.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMicroseconds(200);

    /// <summary>Values of rows that a thread takes at a time.</summary>
    private const long PartValues = 16 << 10;

    private static readonly Lock s_caller = new();
    private static readonly SemaphoreSlim s_wake = new(0);
    private static int s_threadCount;
    private static int s_sleeping;
    private static Work? s_work;

    /// <summary>Computes every part, and returns when all of them are there; a part may do so itself.</summary>
    /// <param name="count">How many.</param>
    /// <param name="compute">Computes the part of that number, from 0; must not throw.</param>
    public static void Run(int count, Action<int> compute) => Run(count, compute, get_num_threads());

    /// <inheritdoc cref="Run(int, Action{int, int}, int)"/>
    /// <param name="count">How many.</param>
    /// <param name="compute">Computes the part of that number, from 0; must not throw.</param>
    /// <param name="threads">How many compute, the caller among them.</param>
    public static void Run(int count, Action<int> compute, int threads) => Run(count, (part, _) => compute(part), threads);

    /// <summary>Computes rows, some at a time that take some microseconds.</summary>
    /// <param name="rows">How many.</param>
    /// <param name="width">Values of a row.</param>
    /// <param name="compute">Computes the rows from the first to before the second; must not throw.</param>
    public static void OverRows(long rows, long width, Action<long, long> compute)
    {
        long part = Math.Max(PartValues / Math.Max(width, 1), 1);
        Run((int)((rows + part - 1) / part), at => compute(at * part, Math.Min((at + 1) * part, rows)));
    }

    /// <summary>Computes every part, and returns when all of them are there.</summary>
    /// <param name="count">How many.</param>
    /// <param name="compute">
    /// Computes the part of the first number, from 0, on the thread of the second, from 0: no two compute as the same one at a time. It
    /// must not throw.
    /// </param>
    /// <param name="threads">How many compute, the caller among them.</param>
    public static void Run(int count, Action<int, int> compute, int threads)
    {
        int others = Math.Min(threads, count) - 1;

        // Another caller has the threads, or this one's own part: then this one's processor is its own.
        if (others < 1 || s_caller.IsHeldByCurrentThread || !s_caller.TryEnter())
        {
            for (int part = 0; part < count; part++)
            {
                compute(part, 0);
            }

            return;
        }

        try
        {
            Start(others);
            var work = new Work(count, others, compute);
            Volatile.Write(ref s_work, work);
            Wake(others);
            work.Take(thread: 0);
            work.AwaitAll();
        }
        finally
        {
            s_caller.Exit();
        }
    }

    /// <summary>Who falls asleep in between misses this work, and is woken for the next.</summary>
    private static void Wake(int wanted)
    {
        int sleeping = Interlocked.Exchange(ref s_sleeping, 0), woken = Math.Min(sleeping, wanted);
        if (sleeping > woken)
        {
            Interlocked.Add(ref s_sleeping, sleeping - woken);
        }

        if (woken > 0)
        {
            s_wake.Release(woken);
        }
    }

    private static void Start(int count)
    {
        for (; s_threadCount < count; s_threadCount++)
        {
            new Thread(Loop) { IsBackground = true, Name = "Sorsa products" }.Start();
        }
    }

    private static void Loop()
    {
        Work? last = null;
        while (true)
        {
            long start = Stopwatch.GetTimestamp();
            Work? work;
            while ((work = Volatile.Read(ref s_work)) == last && Stopwatch.GetElapsedTime(start) < s_patience)
            {
                // What libtorch's threads have to do comes first.
                Thread.Yield();
            }

            if (work == last)
            {
                Interlocked.Increment(ref s_sleeping);
                s_wake.Wait();
                continue;
            }

            last = work;
            work!.Join();
        }
    }

    private sealed class Work(int count, int helpers, Action<int, int> compute)
    {
        private int _helpers = helpers;
        private int _next = -1;
        private int _done;

        /// <summary>Helps, unless enough others do.</summary>
        public void Join()
        {
            if (Interlocked.Decrement(ref _helpers) is >= 0 and var others)
            {
                Take(thread: others + 1);
            }
        }

        public void Take(int thread)
        {
            int part;
            while ((part = Interlocked.Increment(ref _next)) < count)
            {
                compute(part, thread);
                Interlocked.Increment(ref _done);
            }
        }

        public void AwaitAll()
        {
            var wait = new SpinWait();
            while (Volatile.Read(ref _done) < count)
            {
                wait.SpinOnce(sleep1Threshold: -1);
            }
        }
    }
}
