using System.Numerics;
using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>Ranks that are threads of one process: every call waits until all have made it.</summary>
internal sealed class ThreadRanks : IDisposable
{
    private readonly Barrier _barrier;
    private readonly CancellationTokenSource _abort = new();
    private readonly byte[][] _said;

    private ThreadRanks(int count) => (_barrier, _said) = (new Barrier(count), new byte[count][]);

    /// <summary>Runs something on so many ranks; an error of one of them is thrown.</summary>
    public static T[] Run<T>(int count, Func<ITrainingRanks, T> run)
    {
        using var ranks = new ThreadRanks(count);
        Task<T>[] all = [.. Enumerable.Range(0, count).Select(rank => Task.Factory.StartNew(
            () => run(new One(ranks, rank, count)), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        Task.WhenAll(all).GetAwaiter().GetResult();
        return [.. all.Select(one => one.Result)];
    }

    public void Dispose()
    {
        _barrier.Dispose();
        _abort.Dispose();
    }

    private sealed class One(ThreadRanks ranks, int rank, int count) : ITrainingRanks
    {
        public int Rank => rank;

        public int Count => count;

        public void Sum(Span<float> values) => Sum<float>(values);

        public void Sum(Span<double> values) => Sum<double>(values);

        public void Broadcast(Span<byte> values) => Gather(values)[0].CopyTo(values);

        public IReadOnlyList<byte[]> Gather(ReadOnlySpan<byte> message)
        {
            ranks._said[rank] = message.ToArray();
            Wait();
            byte[][] all = [.. ranks._said];
            Wait();
            return all;
        }

        /// <summary>Whoever waits for this one waits no longer.</summary>
        public void Abort(string message)
        {
            ranks._abort.Cancel();
            throw new InvalidOperationException($"Aborted by rank {rank}: {message}");
        }

        private void Wait() => Assert.IsTrue(
            ranks._barrier.SignalAndWait(TimeSpan.FromMinutes(2), ranks._abort.Token), "A rank did not come.");

        private void Sum<T>(Span<T> values)
            where T : unmanaged, INumber<T>
        {
            IReadOnlyList<byte[]> all = Gather(MemoryMarshal.AsBytes(values));
            values.Clear();
            foreach (byte[] one in all)
            {
                ReadOnlySpan<T> added = MemoryMarshal.Cast<byte, T>(one);
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] += added[i];
                }
            }
        }
    }
}
