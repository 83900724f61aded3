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

    private const int Small = 150;

    public static bool Is(string[] arguments) => arguments is [Argument, _];

    /// <summary>The process: says how training ends, and how one ends after it that needs less.</summary>
    public static void Run(string[] arguments)
    {
        Console.WriteLine(Train(int.Parse(arguments[1], CultureInfo.InvariantCulture)));
        Console.WriteLine(Train(Small));
    }

    private static string Train(int batchSize)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.TargetModules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        options.BatchSize = batchSize;
        options.MaxSteps = 1;
        options.MemoryCheck = false;
        var mlContext = new MLContext();
        IDataView data = mlContext.Data.LoadFromEnumerable(Enumerable.Range(0, 200).SelectMany(_ => TinyTask.Rows));
        try
        {
            mlContext.Sorsa().FineTune(options).Fit(data).Dispose();
            return "trained";
        }
        catch (OutOfMemoryException exhausted)
        {
            return exhausted.Message;
        }
    }

    [TestMethod]
    public void TrainingThatIsOutOfMemorySaysWhatToDo()
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Inconclusive("The test sets a limit with the shell's ulimit.");
        }

        string[] said = TrainInAProcess(2400);

        Assert.StartsWith("The memory of cpu is exhausted. Training needs ", said[0]);
        Assert.Contains("GradientCheckpointing = true (", said[0]);
        Assert.Contains("can't allocate memory", said[0]);
        Assert.Contains("Nothing was saved.", said[0]);
        Assert.AreEqual("trained", said[1]);
    }

    private static string[] TrainInAProcess(int batchSize)
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
        return said.Split(Environment.NewLine);
    }
}
