using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Sorsa.Tool;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>A training that Ctrl+C or SIGTERM ends says how to go on, and comes out as if nothing had happened.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class ResumeVerbTests
{
    private const int Steps = 40;

    [TestMethod]
    [DataRow("INT", ExitCode.Interrupted)]
    [DataRow("TERM", ExitCode.Terminated)]
    public void AnInterruptedTrainingGoesOnToTheSameBits(string signal, int exitCode)
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Inconclusive("The test sends signals with kill.");
        }

        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), whole = folder.File("whole"), run = folder.File("run");
        string[] training = ["train", rows, .. SorsaCommand.Training, "--number-of-epochs", "100", "--max-steps", $"{Steps}"];

        (int done, _, string complaint) = End(SorsaCommand.Start([.. training, "--out", whole]), signal: null);
        (int ended, string output, string error) = End(SorsaCommand.Start([.. training, "--out", run]), signal);
        JsonElement inspected = SorsaCommand.Run("inspect", run, "--json").Succeeds().Json;
        (int resumed, _, string failure) = End(SorsaCommand.Start("resume", run), signal: null);

        Assert.AreEqual(0, done, complaint);
        Assert.AreEqual(exitCode, ended, error);
        Assert.AreEqual("", output);
        string last = error.TrimEnd('\n').Split('\n')[^1];
        Assert.StartsWith("sorsa: Interrupted after step", last);
        Assert.Contains($"sorsa resume {run}", last);
        Assert.IsFalse(inspected.GetProperty("done").GetBoolean());
        Assert.AreEqual(0, resumed, failure);
        CollectionAssert.AreEqual(
            File.ReadAllBytes(Path.Combine(whole, "model", "model.safetensors")),
            File.ReadAllBytes(Path.Combine(run, "model", "model.safetensors")));
    }

    [TestMethod]
    public void WhatIsDoneStaysAsItIs()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), run = folder.File("run"), model = Path.Combine(run, "model", "model.safetensors");
        SorsaCommand.Run(["train", rows, .. SorsaCommand.Training, "--out", run]).Succeeds();
        DateTime written = File.GetLastWriteTimeUtc(model);

        CommandResult again = SorsaCommand.Run("resume", run).Succeeds();
        CommandResult trained = SorsaCommand.Run(["train", rows, .. SorsaCommand.Training, "--out", run]);

        Assert.Contains("has come to its end", again.Output);
        Assert.AreEqual(written, File.GetLastWriteTimeUtc(model));
        Assert.AreEqual(ExitCode.Output, trained.ExitCode);
        Assert.Contains($"sorsa resume {run}", trained.Error);
    }

    /// <summary>Killed between the last step and the model, it has nothing to train any more.</summary>
    [TestMethod]
    public void OnlyWhatIsMissingIsWritten()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), run = folder.File("run"), model = Path.Combine(run, "model");
        SorsaCommand.Run(["train", rows, .. SorsaCommand.Training, "--out", run]).Succeeds();
        byte[] before = File.ReadAllBytes(Path.Combine(model, "model.safetensors"));
        Directory.Delete(model, recursive: true);

        SorsaCommand.Run("resume", run).Succeeds();

        CollectionAssert.AreEqual(before, File.ReadAllBytes(Path.Combine(model, "model.safetensors")));
    }

    /// <summary>Waits for a process; sends it a signal when it has trained some steps.</summary>
    private static (int ExitCode, string Output, string Error) End(Process process, string? signal)
    {
        using (process)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            var error = new List<string>();
            while (process.StandardError.ReadLine() is { } line)
            {
                error.Add(line);
                if (signal is not null && line.StartsWith("step 4 ", StringComparison.Ordinal))
                {
                    using Process kill = Process.Start("kill", [$"-{signal}", process.Id.ToString(CultureInfo.InvariantCulture)]);
                }
            }

            process.WaitForExit();
            return (process.ExitCode, output.Result, string.Join('\n', error));
        }
    }
}
