using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Tensors;

namespace Microsoft.ML.Sorsa.Tests.Persistence;

/// <summary>
/// A service that loads, trains and disposes for weeks holds what it held the first time. Each kind in a process of its own.
/// </summary>
[TestClass]
[TestCategory("Persistence")]
public sealed class ServiceMemoryTests
{
    private const string Argument = "--service-rounds";

    private static string? s_folder;

    public static IEnumerable<object[]> Kinds => ServiceRounds.Kinds.Select(kind => new object[] { kind });

    public static bool Is(string[] arguments) => arguments is [Argument, _, _, _];

    [ClassCleanup]
    public static void Remove()
    {
        if (s_folder is not null)
        {
            Directory.Delete(s_folder, recursive: true);
        }
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    [DynamicData(nameof(Kinds))]
    public void AfterEightTimesTheProcessHoldsWhatItHeldAfterOne(string kind)
    {
        if (!KeptMemory.IsSupported)
        {
            Assert.Inconclusive("This process does not allocate through glibc, or its user has set how.");
        }

        double[] resident = Rounds(kind);

        Assert.IsLessThan(1.2 * resident[0], resident[^1], string.Join(" ", resident));
    }

    /// <summary>What the process does.</summary>
    public static void Run(string[] arguments)
    {
        foreach (double megabytes in ServiceRounds.Run(arguments[1], arguments[2], arguments[3]))
        {
            Console.WriteLine(megabytes.ToString(CultureInfo.InvariantCulture));
        }
    }

    private static double[] Rounds(string kind)
    {
        string model = Path.Combine(s_folder ??= Directory.CreateTempSubdirectory("sorsa-service-").FullName, "model");
        if (!Directory.Exists(model))
        {
            ServiceRounds.WriteModel(TestData.TinyLlama, model);
        }

        string work = Directory.CreateDirectory(Path.Combine(s_folder, kind)).FullName;
        string program = Path.Combine(AppContext.BaseDirectory, "Microsoft.ML.Sorsa.Tests");
        var start = new ProcessStartInfo(program, [Argument, kind, model, work]) { RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        string[] lines = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode);
        Assert.HasCount(8, lines);
        return [.. lines.Select(line => double.Parse(line, CultureInfo.InvariantCulture))];
    }
}
