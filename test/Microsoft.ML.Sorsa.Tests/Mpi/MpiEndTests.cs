using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>What is left, and of whom, where a rank fails or dies, or mpirun is told to end.</summary>
[TestClass]
[TestCategory("Mpi")]
[DoNotParallelize]
public sealed class MpiEndTests
{
    private static readonly string[] s_long = ["NumberOfEpochs=10", "Method=Sorsa", "validates=1"];

    [TestInitialize]
    public void RequireMpi() => MpiLaunch.RequireMpi();

    /// <summary>An error at one rank ends the others, which wait for its gradients.</summary>
    [TestMethod]
    [DataRow("throws=3", "Rank 0 of 2 ends them all. InvalidOperationException: This one cannot go on.")]
    [DataRow("1:fails=System.OutOfMemoryException@5", "Rank 1 of 2 ends them all. OutOfMemoryException: ")]
    [DataRow("1:fails=System.IO.IOException@1", "Rank 1 of 2 ends them all. IOException: ")]
    public void AnErrorAtOneRankEndsThemAll(string argument, string said)
    {
        var clock = Stopwatch.StartNew();

        (int exitCode, string errors, RankResult[] results) = MpiLaunch.Train(2, "NumberOfEpochs=100000", argument);

        Assert.AreNotEqual(0, exitCode);
        Assert.IsEmpty(results);
        Assert.Contains(said, errors);
        Assert.IsLessThan(MpiLaunch.Limit + MpiLaunch.Limit, clock.Elapsed);
    }

    [TestMethod]
    [DataRow("mpirun.openmpi", 0)]
    [DataRow("mpirun.openmpi", 3)]
    [DataRow("mpirun.mpich", 0)]
    [DataRow("mpirun.mpich", 3)]
    public void ARankThatDiesEndsTheOthers(string launcher, int dies)
    {
        RequireLauncher(launcher);
        using var folder = new TemporaryFolder();
        using Process process = MpiLaunch.Start(launcher, 4, folder.Path, "NumberOfEpochs=100000", "says=step");
        Task<string> errors = process.StandardError.ReadToEndAsync();
        ReadUntil(process, "step 3");
        int[] ranks = [.. Children(process.Id)];
        var clock = Stopwatch.StartNew();

        Process.GetProcessById(ranks[dies]).Kill();
        string said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();

        Assert.IsLessThan(MpiLaunch.Limit, clock.Elapsed);
        Assert.AreNotEqual(0, process.ExitCode);
        Assert.IsNotEmpty(errors.Result + said);
        Assert.HasCount(4, ranks);
        Assert.IsTrue(SpinWait.SpinUntil(() => !ranks.Any(IsAlive), MpiLaunch.Limit), "A rank is still there.");
    }

    /// <summary>Told to end, all ranks finish the step that is under way, and the first, which alone has a folder, writes it.</summary>
    [TestMethod]
    [DataRow("TERM")]
    [DataRow("INT")]
    public void TheStepUnderWayIsWrittenWhenMpirunIsToldToEnd(string signal)
    {
        RequireLauncher("mpirun.openmpi");
        using var folder = new TemporaryFolder();
        string checkpoints = folder.File("checkpoints");
        using Process process = MpiLaunch.Start("mpirun.openmpi",
            2, folder.Path, "NumberOfEpochs=100000", "says=step", $"0:CheckpointFolder={checkpoints}", "0:CheckpointSteps=1000000");
        Task<string> errors = process.StandardError.ReadToEndAsync();
        ReadUntil(process, "step 3");

        // Within the first epoch's steps none is written by itself, but for the epoch's own.
        int[] before = Steps(checkpoints);
        Send(signal, process.Id);
        string[] said = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();

        int last = Steps(checkpoints).Max();
        Assert.IsGreaterThan(before.Append(0).Max(), last);
        Assert.AreEqual($"step {last}", said[^1], errors.Result);
        Checksums.Verify(Path.Combine(checkpoints, FormattableString.Invariant($"checkpoint-{last}")));
    }

    /// <summary>While the ranks come together and the first writes: what is lost is the step under way at most.</summary>
    [TestMethod]
    public void ToldToEndAboutTheLastStepTheTrainingIsKept()
    {
        RequireLauncher("mpirun.openmpi");
        using var folder = new TemporaryFolder();
        string checkpoints = folder.File("checkpoints");
        string[] options = [.. s_long, $"CheckpointFolder={checkpoints}", "CheckpointSteps=1000"];
        using Process process = MpiLaunch.Start("mpirun.openmpi", 2, folder.Path, [.. options, "says=step"]);
        ReadUntil(process, "step 19");

        Send("TERM", process.Id);
        MpiLaunch.End(process, folder.Path);

        Assert.IsGreaterThanOrEqualTo(18, Steps(checkpoints).Max());
        AreWhole(checkpoints);
        RankResult[] ended = MpiLaunch.Trained(2, [.. options, "Resume=Required"]), whole = MpiLaunch.Trained(2, s_long);
        CollectionAssert.AreEqual(whole[0].Losses, ended[0].Losses);
        CollectionAssert.AreEqual(whole[0].LogitBits, ended[1].LogitBits);
    }

    /// <summary>Sent when a checkpoint is half there: what is under its own name is whole, and training goes on from it.</summary>
    [TestMethod]
    [DataRow("TERM", 1)]
    [DataRow("INT", 3)]
    [DataRow("KILL", 2)]
    public void WhatIsWrittenWhileASignalComesIsWhole(string signal, int ranks)
    {
        RequireLauncher("mpirun.openmpi");
        using var folder = new TemporaryFolder();
        string checkpoints = folder.File("checkpoints");
        string[] options = [.. s_long, $"CheckpointFolder={checkpoints}", "CheckpointSteps=1", "KeepCheckpoints=100"];
        using Process process = MpiLaunch.Start("mpirun.openmpi", 2, folder.Path, [.. options, "says=step"]);
        ReadUntil(process, "step 3");
        int[] started = [.. Children(process.Id)];

        SpinWait.SpinUntil(() => process.HasExited || Directory.EnumerateDirectories(checkpoints, "checkpoint-*.tmp").Any());
        Send(signal, process.Id);
        MpiLaunch.End(process, folder.Path);
        Assert.IsTrue(SpinWait.SpinUntil(() => !started.Any(IsAlive), MpiLaunch.Limit), "A rank is still there.");

        int last = Steps(checkpoints).Max();
        Assert.IsGreaterThanOrEqualTo(2, last);
        AreWhole(checkpoints);
        RankResult[] resumed = MpiLaunch.Trained(ranks, [.. options, "Resume=Required"]), whole = MpiLaunch.Trained(2, s_long);
        Assert.AreEqual(20 - last, resumed[0].Reports);
        MpiLaunch.AreClose(whole[0].Losses, resumed[0].Losses);
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(4)]
    public void AnyNumberOfRanksGoesOnWhereTwoWereInterrupted(int ranks)
    {
        using var folder = new TemporaryFolder();
        string[] options = [.. s_long, "CheckpointSteps=1", $"CheckpointFolder={folder.Path}"];
        RankResult whole = MpiLaunch.Trained(2, s_long)[0];
        (int exitCode, _, _) = MpiLaunch.Train(2, [.. options, "throws=7"]);
        Assert.AreNotEqual(0, exitCode);
        Assert.AreEqual(6, Steps(folder.Path).Max());

        RankResult[] resumed = MpiLaunch.Trained(ranks, [.. options, "Resume=Required"]);

        Assert.AreEqual(14, resumed[0].Reports);
        foreach (RankResult rank in resumed)
        {
            MpiLaunch.AreClose(whole.Losses, rank.Losses);
            MpiLaunch.AreClose(whole.ValidationLosses, rank.ValidationLosses);
            CollectionAssert.AreEqual(resumed[0].LogitBits, rank.LogitBits);
        }

        if (ranks == 2)
        {
            CollectionAssert.AreEqual(whole.Losses, resumed[0].Losses);
            CollectionAssert.AreEqual(whole.LogitBits, resumed[0].LogitBits);
        }
    }

    private static void RequireLauncher(string launcher)
    {
        if (MpiLaunch.Find(launcher) is null)
        {
            Assert.Inconclusive($"There is no {launcher}.");
        }
    }

    private static void Send(string signal, int process)
    {
        using Process kill = Process.Start("kill", [$"-{signal}", process.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    private static void AreWhole(string checkpoints)
    {
        foreach (int step in Steps(checkpoints))
        {
            Checksums.Verify(Path.Combine(checkpoints, FormattableString.Invariant($"checkpoint-{step}")));
        }
    }

    private static void ReadUntil(Process process, string line)
    {
        while (process.StandardOutput.ReadLine() is { } said && said != line)
        {
        }
    }

    private static int[] Steps(string checkpoints) => [.. Directory.GetDirectories(checkpoints, "checkpoint-*")
        .Select(folder => Path.GetFileName(folder)["checkpoint-".Length..])
        .Where(step => step.All(char.IsAsciiDigit))
        .Select(step => int.Parse(step, CultureInfo.InvariantCulture))];

    /// <summary>One that has ended, and that nobody has asked for its exit code, is a zombie.</summary>
    private static bool IsAlive(int process)
    {
        try
        {
            return !File.ReadAllText($"/proc/{process}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>The processes of a launcher, or of the one that it starts on each machine.</summary>
    private static IEnumerable<int> Children(int parent)
    {
        int[] children = [.. File.ReadAllText($"/proc/{parent}/task/{parent}/children")
            .Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(id => int.Parse(id, CultureInfo.InvariantCulture))];
        return children.Length == 1 ? Children(children[0]) : children;
    }
}
