using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>Whether memory that is freed is there for the next who asks.</summary>
[TestClass]
[TestCategory("Training")]
public sealed class KeptMemoryTests
{
    private const string Argument = "--kept-memory";

    /// <summary>
    /// Megabytes; above what glibc keeps by itself. Of the second block a little less:
    /// glibc up to 2.37 does not find room for an aligned block in one of the same size.
    /// </summary>
    private const int First = 48, Second = 47;

    public static bool Is(string[] arguments) => arguments is [Argument];

    /// <summary>
    /// A block that is freed and asked for again costs a page fault for each of its pages, unless it was kept. In a process of its own:
    /// the heap of this one has holes.
    /// </summary>
    [TestMethod]
    public void AFreedBlockIsTakenAgainWithoutPageFaults()
    {
        if (!KeptMemory.IsSupported)
        {
            Assert.Inconclusive("This process does not allocate through glibc: there is nothing to keep.");
        }

        long[] faults = FaultsOfAProcess([]);
        long pages = Second * 1024L * 1024 / Environment.SystemPageSize;

        Assert.IsGreaterThan(pages / 2, faults[0],
            "Without it the block comes from the operating system each time: the test would show nothing.");
        Assert.IsLessThan(pages / 10, faults[1]);
        Assert.IsLessThan(pages / 10, faults[2], "As long as one is left, memory is kept.");
        Assert.IsGreaterThan(pages / 2, faults[3], "With the last one the free memory goes back.");
    }

    /// <summary>The values are glibc's own, so that every block comes from the operating system, as without the library.</summary>
    [TestMethod]
    [DataRow("MALLOC_TRIM_THRESHOLD_", "131072")]
    [DataRow("MALLOC_TOP_PAD_", "131072")]
    [DataRow("MALLOC_MMAP_MAX_", "65536")]
    [DataRow("MALLOC_MMAP_THRESHOLD_", "131072")]
    [DataRow("GLIBC_TUNABLES", "glibc.malloc.top_pad=131072")]
    public void AnAllocatorThatTheUserHasSetIsLeftAlone(string name, string value)
    {
        if (!KeptMemory.IsSupported)
        {
            Assert.Inconclusive("This process does not allocate through glibc: there is nothing to leave alone.");
        }

        foreach (long faults in FaultsOfAProcess([(name, value)]))
        {
            Assert.IsGreaterThan(Second * 1024L * 1024 / Environment.SystemPageSize / 2, faults);
        }
    }

    /// <summary>What the process does.</summary>
    public static void Run()
    {
        set_num_threads(1);
        Console.WriteLine(FaultsOfTheSecond());
        using (new KeptMemory())
        {
            var inner = new KeptMemory();
            Console.WriteLine(FaultsOfTheSecond());
            inner.Dispose();
            inner.Dispose();
            Console.WriteLine(FaultsOfTheSecond());
        }

        Console.WriteLine(FaultsOfTheSecond());
    }

    private static long[] FaultsOfAProcess((string Name, string Value)[] variables)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.Sorsa.Tests");
        var start = new ProcessStartInfo(program, [Argument]) { RedirectStandardOutput = true };
        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        string[] lines = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        Assert.HasCount(4, lines);
        return [.. lines.Select(line => long.Parse(line, CultureInfo.InvariantCulture))];
    }

    private static long FaultsOfTheSecond()
    {
        Fill(First);
        long before = Faults();
        Fill(Second);
        return Faults() - before;
    }

    private static void Fill(int megabytes) => ones(megabytes * 1024L * 1024 / sizeof(float)).Dispose();

    /// <summary>Minor faults of this thread: the tenth field of its stat, the eighth behind the name in brackets.</summary>
    private static long Faults()
    {
        string stat = File.ReadAllText("/proc/thread-self/stat");
        return long.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[7], CultureInfo.InvariantCulture);
    }
}
