using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>
/// A process that is told to end while it trains: the step that was under way is written, and it ends by the signal; or goes on, where the
/// program handles the signal itself.
/// </summary>
[TestClass]
[TestCategory("Resume")]
public sealed class TerminatedTrainingTests
{
    private const string Argument = "--terminated-training", Unhandled = "unhandled", Handled = "handled";
    private const int Least = 3, After = 10;

    public static bool Is(string[] arguments) => arguments is [Argument, _, _];

    /// <summary>
    /// The process: trains for a long time, and says every step. One that handles signals ends by its own will, some steps after the
    /// checkpoint that the signal brought.
    /// </summary>
    public static void Run(string[] arguments)
    {
        string checkpoints = arguments[1];
        using var cancellation = new CancellationTokenSource();
        var listener = new Listener(checkpoints, cancellation);
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        (options.NumberOfEpochs, options.CheckpointFolder, options.CheckpointSteps) = (10000, checkpoints, 100000);
        (options.Progress, options.CancellationToken, options.KeepCheckpoints) = (listener, cancellation.Token, 9);
        using PosixSignalRegistration? own = arguments[2] == Unhandled
            ? null : PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => context.Cancel = true);
        if (own is not null)
        {
            Console.CancelKeyPress += (_, e) => e.Cancel = true;
        }

        var mlContext = new MLContext();
        try
        {
            mlContext.Sorsa().FineTune(options).Fit(mlContext.Data.LoadFromEnumerable(
                Enumerable.Range(0, 1000).SelectMany(_ => TinyTask.Rows))).Dispose();
        }
        catch (OperationCanceledException)
        {
            Console.WriteLine(Handled);
        }
    }

    [TestMethod]
    [DataRow("TERM", 143)]
    [DataRow("INT", 130)]
    public void TheStepUnderWayIsWritten(string signal, int exitCode)
    {
        using var folder = new TemporaryFolder();

        (int ended, string[] said) = Signalled(signal, folder.File("checkpoints"), Unhandled);

        string checkpoint = Directory.GetDirectories(folder.File("checkpoints")).Single();
        int step = StepOf(checkpoint);
        Assert.AreEqual(exitCode, ended);
        Assert.IsGreaterThanOrEqualTo(Least, step);
        Assert.Contains($"step {step}", [$"step {Least}", .. said]);
        Checksums.Verify(checkpoint);
    }

    /// <summary>The training goes on, and the signal has brought one checkpoint; the other is that of the cancellation.</summary>
    [TestMethod]
    [DataRow("TERM")]
    [DataRow("INT")]
    public void ASignalThatTheProgramHandlesIsAnsweredOnce(string signal)
    {
        using var folder = new TemporaryFolder();

        (int ended, string[] said) = Signalled(signal, folder.File("checkpoints"), Handled);

        int[] steps = [.. Directory.GetDirectories(folder.File("checkpoints")).Select(StepOf).Order()];
        Assert.AreEqual(0, ended);
        Assert.AreEqual(Handled, said[^1]);
        Assert.HasCount(2, steps);
        Assert.IsGreaterThanOrEqualTo(Least, steps[0]);
        Assert.AreEqual(steps[0] + After, steps[1]);
    }

    /// <summary>Starts one, and sends it a signal after some steps.</summary>
    /// <returns>Its exit code, and what it said after the signal.</returns>
    private static (int ExitCode, string[] Said) Signalled(string signal, string checkpoints, string kind)
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Inconclusive("The test sends signals with kill.");
        }

        string program = Path.Combine(AppContext.BaseDirectory, typeof(Program).Assembly.GetName().Name!);

        // A shell's background jobs ignore SIGINT, and whatever they start does.
        using Process process = Process.Start(new ProcessStartInfo(
            "env", ["--default-signal=INT", program, Argument, checkpoints, kind])
        { RedirectStandardOutput = true })!;
        while (process.StandardOutput.ReadLine() is { } line && line != $"step {Least}")
        {
        }

        using Process kill = Process.Start("kill", [$"-{signal}", process.Id.ToString(CultureInfo.InvariantCulture)]);
        string[] said = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        return (process.ExitCode, said);
    }

    private static int StepOf(string checkpoint) =>
        int.Parse(Path.GetFileName(checkpoint)["checkpoint-".Length..], CultureInfo.InvariantCulture);

    /// <summary>Cancels so many steps after the first checkpoint.</summary>
    private sealed class Listener(string checkpoints, CancellationTokenSource cancellation) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"step {value.Step}"));
            Console.Out.Flush();
            if (Directory.GetDirectories(checkpoints, "checkpoint-*").Select(StepOf).Order().FirstOrDefault() is > 0 and var first
                && value.Step == first + After)
            {
                cancellation.Cancel();
            }
        }
    }
}
