using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>A process that is told to end while it trains: it ends by the signal, and the step that was under way is written.</summary>
[TestClass]
[TestCategory("Resume")]
public sealed class TerminatedTrainingTests
{
    private const string Argument = "--terminated-training";
    private const int Least = 3;

    public static bool Is(string[] arguments) => arguments is [Argument, _];

    /// <summary>The process: trains for a long time, and says every step.</summary>
    public static void Run(string[] arguments)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        (options.NumberOfEpochs, options.CheckpointFolder, options.CheckpointSteps) = (10000, arguments[1], 100000);
        options.Progress = new Listener();
        var mlContext = new MLContext();
        mlContext.Sorsa().FineTune(options).Fit(mlContext.Data.LoadFromEnumerable(
            Enumerable.Range(0, 1000).SelectMany(_ => TinyTask.Rows))).Dispose();
    }

    [TestMethod]
    [DataRow("TERM", 143)]
    [DataRow("INT", 130)]
    public void TheStepUnderWayIsWritten(string signal, int exitCode)
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Inconclusive("The test sends signals with kill.");
        }

        using var folder = new TemporaryFolder();
        string program = Path.Combine(AppContext.BaseDirectory, typeof(Program).Assembly.GetName().Name!);
        using Process process = Process.Start(
            new ProcessStartInfo(program, [Argument, folder.File("checkpoints")]) { RedirectStandardOutput = true })!;
        while (process.StandardOutput.ReadLine() is { } line && line != $"step {Least}")
        {
        }

        using Process kill = Process.Start("kill", [$"-{signal}", process.Id.ToString(CultureInfo.InvariantCulture)]);
        string[] said = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();

        string checkpoint = Directory.GetDirectories(folder.File("checkpoints")).Single();
        int step = int.Parse(Path.GetFileName(checkpoint)["checkpoint-".Length..], CultureInfo.InvariantCulture);
        Assert.AreEqual(exitCode, process.ExitCode);
        Assert.IsGreaterThanOrEqualTo(Least, step);
        Assert.Contains($"step {step}", [$"step {Least}", .. said]);
        Checksums.Verify(checkpoint);
    }

    private sealed class Listener : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"step {value.Step}"));
            Console.Out.Flush();
        }
    }
}
