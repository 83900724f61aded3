using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Mpi;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>
/// Trainings of several processes that mpirun starts on this machine. Alone: ranks wait for each other by looking again and again.
/// </summary>
[TestClass]
[TestCategory("Mpi")]
[DoNotParallelize]
public sealed class MpiTests
{
    /// <summary>What a rank that dies may take with it, at most: the issue's own limit.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(10);

    /// <summary>So close are the losses of other numbers of ranks.</summary>
    private const double Close = 1e-6;

    private static readonly string[] s_long = ["NumberOfEpochs=10", "Method=Sorsa"];

    [TestInitialize]
    public void RequireMpi() => MpiProcess.RequireMpi();

    /// <summary>
    /// With a warm-up: AdamW's first steps divide each gradient by its own size, so that what rounds differently moves a weight as far as
    /// what does not. Without one the largest difference seen is 1.2e-6 (docs/decisions/mpi.md).
    /// </summary>
    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void OtherNumbersOfRanksGiveTheSameLossesAndTheSameNumberTheSameBits()
    {
        string[] arguments = [.. s_long, "validates=1", "WarmupRatio=0.25"];
        RankResult[] one = Trained(1, arguments), two = Trained(2, arguments), again = Trained(2, arguments), four = Trained(4, arguments);

        Assert.HasCount(20, one[0].Losses);
        foreach (RankResult rank in two.Concat(four))
        {
            AreClose(one[0].Losses, rank.Losses);
            AreClose(one[0].ValidationLosses, rank.ValidationLosses);
        }

        CollectionAssert.AreEqual(two[0].Losses, again[0].Losses);
        foreach (RankResult rank in two.Concat(again))
        {
            CollectionAssert.AreEqual(two[0].LogitBits, rank.LogitBits);
        }

        foreach (RankResult rank in four)
        {
            CollectionAssert.AreEqual(four[0].LogitBits, rank.LogitBits);
        }
    }

    [TestMethod]
    public void TheFirstRankAloneReports()
    {
        RankResult[] ranks = Trained(2, s_long);

        Assert.AreEqual((20, 0), (ranks[0].Reports, ranks[1].Reports));
        Assert.AreEqual((0, 1), (ranks[0].LocalRank, ranks[1].LocalRank));
        Assert.Contains("rank 1 of 2, ", ranks[1].Ranks);
    }

    /// <summary>An error at one rank ends the others, which wait for its gradients.</summary>
    [TestMethod]
    public void AnErrorAtOneRankEndsThemAll()
    {
        var clock = Stopwatch.StartNew();

        (int exitCode, string errors, RankResult[] results) = MpiProcess.Train(2, "NumberOfEpochs=100000", "throws=3");

        Assert.AreNotEqual(0, exitCode);
        Assert.IsEmpty(results);
        Assert.Contains("Rank 0 of 2 ends them all. InvalidOperationException: This one cannot go on.", errors);
        Assert.IsLessThan(s_limit + s_limit, clock.Elapsed);
    }

    [TestMethod]
    public void ARankThatDiesEndsTheOthers()
    {
        using var folder = new TemporaryFolder();
        using Process process = MpiProcess.Start(4, folder.Path, "NumberOfEpochs=100000", "says=step");
        Task<string> errors = process.StandardError.ReadToEndAsync();
        ReadUntil(process, "step 3");
        int[] ranks = [.. Children(process.Id)];
        var clock = Stopwatch.StartNew();

        Process.GetProcessById(ranks[^1]).Kill();
        _ = process.StandardOutput.ReadToEnd();
        process.WaitForExit();

        Assert.IsLessThan(s_limit, clock.Elapsed);
        Assert.AreNotEqual(0, process.ExitCode);
        Assert.IsNotEmpty(errors.Result);
        Assert.HasCount(4, ranks);
        Assert.IsTrue(SpinWait.SpinUntil(() => !ranks.Any(IsAlive), s_limit), "A rank is still there.");
    }

    /// <summary>Told to end, all ranks finish the step that is under way, and the first, which alone has a folder, writes it.</summary>
    [TestMethod]
    public void TheStepUnderWayIsWrittenWhenMpirunIsToldToEnd()
    {
        using var folder = new TemporaryFolder();
        string checkpoints = folder.File("checkpoints");
        using Process process = MpiProcess.Start(
            2, folder.Path, "NumberOfEpochs=100000", "says=step", $"0:CheckpointFolder={checkpoints}", "0:CheckpointSteps=1000000");
        Task<string> errors = process.StandardError.ReadToEndAsync();
        ReadUntil(process, "step 3");

        // Within the first epoch's steps none is written by itself, but for the epoch's own.
        int[] before = Steps(checkpoints);
        using Process kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);
        string[] said = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();

        int last = Steps(checkpoints).Max();
        Assert.IsGreaterThan(before.Append(0).Max(), last);
        Assert.AreEqual($"step {last}", said[^1], errors.Result);
        Checksums.Verify(Path.Combine(checkpoints, FormattableString.Invariant($"checkpoint-{last}")));
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(4)]
    public void AnyNumberOfRanksGoesOnWhereTwoWereInterrupted(int ranks)
    {
        using var folder = new TemporaryFolder();
        string[] options = [.. s_long, "validates=1", "Dropout=0", "CheckpointSteps=1", $"CheckpointFolder={folder.Path}"];
        RankResult whole = Trained(2, [.. s_long, "validates=1", "Dropout=0"])[0];
        (int exitCode, _, _) = MpiProcess.Train(2, [.. options, "throws=7"]);
        Assert.AreNotEqual(0, exitCode);
        Assert.AreEqual(6, Steps(folder.Path).Max());

        RankResult[] resumed = Trained(ranks, [.. options, "Resume=Required"]);

        Assert.AreEqual(14, resumed[0].Reports);
        foreach (RankResult rank in resumed)
        {
            AreClose(whole.Losses, rank.Losses);
            AreClose(whole.ValidationLosses, rank.ValidationLosses);
            CollectionAssert.AreEqual(resumed[0].LogitBits, rank.LogitBits);
        }

        if (ranks == 2)
        {
            CollectionAssert.AreEqual(whole.Losses, resumed[0].Losses);
            CollectionAssert.AreEqual(whole.LogitBits, resumed[0].LogitBits);
        }
    }

    /// <summary>Before the first step, with the same words on every rank.</summary>
    [TestMethod]
    [DataRow("1:LearningRate=0.1", "Rank 1 of 2 is set up otherwise than rank 0. ", "LearningRate: rank 0 has 0.005, rank 1 0.1")]
    [DataRow("1:otherRows=1", "Rank 1 of 2 is set up otherwise than rank 0. ", "Training rows: rank 0 has 12, ")]
    [DataRow("1:Rank=2", "Rank 1 of 2 is set up otherwise than rank 0. ", "Rank: rank 0 has 4, rank 1 2")]
    [DataRow("BatchSize=1", "Ranks is 2, and BatchSize is 1, ", "Raise BatchSize")]
    public void RanksThatDoNotFitTogetherAreRefusedEverywhere(string argument, string beginning, string part)
    {
        (int exitCode, _, RankResult[] results) = MpiProcess.Train(2, argument);

        Assert.AreEqual(3, exitCode);
        Assert.HasCount(2, results);
        foreach (RankResult result in results)
        {
            Assert.Contains(beginning, result.Error!);
            Assert.Contains(part, result.Error!);
            Assert.AreEqual(0, result.Reports);
        }
    }

    /// <summary>What one rank has run into, another hears of instead of waiting.</summary>
    [TestMethod]
    [DataRow("1:leaves=1", "Rank 1 of 2 has left without training")]
    [DataRow("1:ModelFolder=nowhere", "Rank 1 of 2 has left without training")]
    [DataRow("1:BatchSize=1", "Rank 1 of 2 has failed: Ranks is 2, and BatchSize is 1")]
    public void ARankThatCannotTrainIsHeardOf(string argument, string said)
    {
        (int exitCode, _, RankResult[] results) = MpiProcess.Train(2, argument);

        Assert.AreEqual(3, exitCode);
        Assert.HasCount(2, results);
        Assert.Contains(said, results[0].Error!);
        Assert.DoesNotContain(said, results[1].Error!);
    }

    /// <summary>It must not wait for one that has left for good.</summary>
    [TestMethod]
    public void ARankThatGoesOnAloneIsTold()
    {
        (int exitCode, _, RankResult[] results) = MpiProcess.Train(2, "1:leaves=1", "0:again=1");

        Assert.AreEqual(3, exitCode);
        Assert.Contains("Another rank has left already: it disposed of its SorsaMpi", results[0].Error!);
    }

    [TestMethod]
    public void ALibraryThatIsNotThereIsAskedForByPackage()
    {
        (int exitCode, string errors, _) = MpiProcess.Train(2, "library=libnone.so");

        Assert.AreNotEqual(0, exitCode);
        Assert.Contains("there is no MPI library to load: tried libnone.so. Install it on every machine ", errors);
        Assert.Contains("apt-get install openmpi-bin", errors);
    }

    [TestMethod]
    public void WithoutMpirunThereIsOneRank()
    {
        using SorsaMpi mpi = SorsaMpi.Initialize("libnone.so");

        Assert.AreEqual((0, 1, 0), (mpi.Rank, mpi.Count, mpi.LocalRank));
        Assert.StartsWith("rank 0 of 1, started without mpirun", mpi.ToString());
    }

    /// <summary>The other product, where both are installed, whatever mpirun itself is.</summary>
    [TestMethod]
    [DataRow("mpirun.openmpi", "Open MPI", "libmpich.so.12")]
    [DataRow("mpirun.mpich", "MPICH", "libmpi.so.40")]
    public void BothProductsTrainAlikeAndAreNotMistakenForEachOther(string launcher, string product, string other)
    {
        if (MpiProcess.Find(launcher) is null)
        {
            Assert.Inconclusive($"There is no {launcher}.");
        }

        RankResult[] usual = Trained(2), results = Run();

        Assert.HasCount(2, results);
        Assert.Contains(product, results[0].Ranks);
        CollectionAssert.AreEqual(usual[0].LogitBits, results[0].LogitBits);
        CollectionAssert.AreEqual(usual[0].LogitBits, results[1].LogitBits);
        if (MpiProcess.Find(launcher == "mpirun.mpich" ? "mpirun.openmpi" : "mpirun.mpich") is not null)
        {
            Assert.IsEmpty(Run($"library={other}"));
        }

        RankResult[] Run(params string[] arguments)
        {
            using var folder = new TemporaryFolder();
            using Process process = MpiProcess.Start(launcher, 2, folder.Path, arguments);
            Task<string> errors = process.StandardError.ReadToEndAsync();
            _ = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Assert.IsTrue(arguments.Length == 0 || errors.Result.Contains("are not of the same product", StringComparison.Ordinal));
            return [.. MpiProcess.Results(folder.Path)];
        }
    }

    private static RankResult[] Trained(int ranks, params string[] arguments)
    {
        (int exitCode, string errors, RankResult[] results) = MpiProcess.Train(ranks, arguments);
        Assert.AreEqual(0, exitCode, errors + string.Concat(results.Select(result => result.Error)));
        Assert.HasCount(ranks, results);
        return results;
    }

    private static void AreClose(double[] expected, double[] actual)
    {
        Assert.HasCount(expected.Length, actual);
        foreach ((double one, double other) in expected.Zip(actual))
        {
            Assert.AreEqual(one, other, Close);
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
