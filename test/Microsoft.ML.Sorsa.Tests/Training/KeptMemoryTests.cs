using System.Globalization;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>Whether memory that is freed is there for the next who asks.</summary>
[TestClass]
[DoNotParallelize]
public sealed class KeptMemoryTests
{
    /// <summary>Of the second block a little less: glibc up to 2.37 does not find room for an aligned block in one of the same size.</summary>
    private const int First = 48, Second = 47;

    /// <summary>A block that is freed and asked for again costs a page fault for each of its pages, unless it was kept.</summary>
    [TestMethod]
    public void AFreedBlockIsTakenAgainWithoutPageFaults()
    {
        if (!KeptMemory.IsSupported)
        {
            Assert.Inconclusive("This process does not allocate through glibc: there is nothing to keep.");
        }

        long pages = Second * 1024L * 1024 / Environment.SystemPageSize;
        Assert.IsGreaterThan(pages / 2, FaultsOfTheSecond(), "Without it the block comes from the operating system each time: the test would show nothing.");
        using (new KeptMemory())
        {
            var inner = new KeptMemory();
            Assert.IsLessThan(pages / 10, FaultsOfTheSecond());
            inner.Dispose();
            inner.Dispose();
            Assert.IsLessThan(pages / 10, FaultsOfTheSecond(), "As long as one is left, memory is kept.");
        }

        Assert.IsGreaterThan(pages / 2, FaultsOfTheSecond(), "With the last one the free memory goes back.");
    }

    private static long FaultsOfTheSecond()
    {
        Fill(First);
        return Faults(() => Fill(Second));
    }

    private static void Fill(int megabytes) => ones(megabytes * 1024L * 1024 / sizeof(float)).Dispose();

    /// <summary>Minor faults of this thread: the tenth field of its stat, behind the name in brackets.</summary>
    private static long Faults(Action act)
    {
        long before = Count();
        act();
        return Count() - before;

        static long Count()
        {
            string stat = File.ReadAllText("/proc/thread-self/stat");
            return long.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[7], CultureInfo.InvariantCulture);
        }
    }
}
