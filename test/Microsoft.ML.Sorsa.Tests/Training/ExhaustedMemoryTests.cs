using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Sorsa.Tests.Surface;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>A process that may take no more than so much memory, and a training that needs more: its exception says what to do.</summary>
[TestClass]
[TestCategory("Backward")]
public sealed class ExhaustedMemoryTests
{
    private const string Argument = "--exhausted-memory";

    /// <summary>What the process may write to, in KiB: enough for .NET, libtorch and the bundled model.</summary>
    private const int Limit = 1_500_000;

    public static bool Is(string[] arguments) => arguments is [Argument, _];

    /// <summary>The process: says how training ends.</summary>
    public static void Run(string[] arguments)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.TargetModules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        options.BatchSize = int.Parse(arguments[1], CultureInfo.InvariantCulture);
        options.MaxSteps = 1;
        var mlContext = new MLContext();
        IDataView data = mlContext.Data.LoadFromEnumerable(Enumerable.Range(0, 200).SelectMany(_ => TinyTask.Rows));
        try
        {
            mlContext.Sorsa().FineTune(options).Fit(data).Dispose();
            Console.WriteLine("trained");
        }
        catch (OutOfMemoryException exhausted)
        {
            Console.WriteLine(exhausted.Message);
        }
    }

    [TestMethod]
    public void TrainingThatIsOutOfMemorySaysWhatToDo()
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Inconclusive("The test sets a limit with the shell's ulimit.");
        }

        Assert.AreEqual("trained", Train(4));
        string said = Train(2400);

        Assert.StartsWith("The memory of cpu is exhausted. Set GradientCheckpointing to true, or BatchSize below 2400", said);
        Assert.Contains("can't allocate memory", said);
    }

    private static string Train(int batchSize)
    {
        string program = Path.Combine(AppContext.BaseDirectory, typeof(Program).Assembly.GetName().Name!);
        var start = new ProcessStartInfo("bash", ["-c", $"ulimit -d {Limit}; exec \"$0\" \"$@\"", program, Argument, $"{batchSize}"])
        {
            RedirectStandardOutput = true,
        };

        // What .NET itself may hold ready, so that the limit is libtorch's.
        start.Environment["DOTNET_GCHeapHardLimit"] = "0x10000000";
        using Process process = Process.Start(start)!;
        string said = process.StandardOutput.ReadToEnd().Trim();
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode, said);
        return said;
    }
}
