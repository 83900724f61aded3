using System.Collections.Concurrent;
using Microsoft.ML.Sorsa.Tensors;

namespace Microsoft.ML.Sorsa.Tests.Generation;

[TestClass]
[TestCategory("Generation")]
public sealed class ParallelPartsTests
{
    /// <summary>Not libtorch's own number: tests have one thread.</summary>
    private const int Threads = 4;

    /// <summary>Not in every run: who is late leaves its part to the others.</summary>
    [TestMethod]
    public void SeveralThreadsCompute()
    {
        var seen = new ConcurrentDictionary<int, bool>();
        for (int run = 0; run < 2000 && seen.Count < Threads; run++)
        {
            ParallelParts.Run(
                16,
                _ =>
                {
                    seen[Environment.CurrentManagedThreadId] = true;
                    Thread.SpinWait(500);
                },
                Threads);
        }

        Assert.IsInRange(2, Threads, seen.Count);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(1000)]
    public void EveryPartIsComputedOnceBeforeItReturns(int count)
    {
        var times = new int[count];

        ParallelParts.Run(count, part => times[part]++, Threads);

        Assert.IsTrue(times.All(time => time == 1));
    }

    /// <summary>Threads sleep between some of the runs, look for work between others, and are somebody else's in many.</summary>
    [TestMethod]
    public void CallersDoNotGetInEachOthersWay()
    {
        const int Callers = 4, Runs = 300, Parts = 17;
        var sums = new int[Callers];
        Thread[] threads = [.. Enumerable.Range(0, Callers).Select(caller => new Thread(() =>
        {
            for (int run = 0; run < Runs; run++)
            {
                ParallelParts.Run(Parts, part => Interlocked.Add(ref sums[caller], part), Threads);
                if (run % 50 == caller)
                {
                    Thread.SpinWait(200_000);
                }
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());

        Assert.IsTrue(sums.All(sum => sum == Runs * Parts * (Parts - 1) / 2));
    }

    /// <summary>A part that computes parts itself finds the threads busy, and goes on alone.</summary>
    [TestMethod]
    public void PartsMayHavePartsThemselves()
    {
        int sum = 0;
        ParallelParts.Run(5, _ => ParallelParts.Run(7, part => Interlocked.Add(ref sum, part), Threads), Threads);

        Assert.AreEqual(5 * 21, sum);
    }
}
