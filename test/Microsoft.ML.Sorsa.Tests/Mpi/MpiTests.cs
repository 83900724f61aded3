using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Mpi;
using Microsoft.ML.Sorsa.Tests.Chat;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>
/// Trainings of several processes that mpirun starts on this machine. Alone: ranks wait for each other by looking again and again.
/// </summary>
[TestClass]
[TestCategory("Mpi")]
[DoNotParallelize]
public sealed class MpiTests
{
    private static readonly string[] s_long = ["NumberOfEpochs=10", "Method=Sorsa"];

    [TestInitialize]
    public void RequireMpi() => MpiLaunch.RequireMpi();

    /// <summary>
    /// At SORSA's own learning rate, without a warm-up. Ten times that multiplies what rounds differently, up to 3.6e-6 by the seed
    /// (docs/decisions/mpi.md).
    /// </summary>
    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(5)]
    public void OtherNumbersOfRanksGiveTheSameLossesAndTheSameNumberTheSameBits(int seed)
    {
        string[] arguments = [.. s_long, "validates=1", "WarmupRatio=0", "LearningRate=5e-4", FormattableString.Invariant($"Seed={seed}")];
        RankResult[] one = MpiLaunch.Trained(1, arguments), two = MpiLaunch.Trained(2, arguments);
        RankResult[] again = MpiLaunch.Trained(2, arguments), four = MpiLaunch.Trained(4, arguments);

        Assert.HasCount(20, one[0].Losses);
        foreach (RankResult rank in two.Concat(four))
        {
            MpiLaunch.AreClose(one[0].Losses, rank.Losses);
            MpiLaunch.AreClose(one[0].ValidationLosses, rank.ValidationLosses);
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
        RankResult[] ranks = MpiLaunch.Trained(2, s_long);

        Assert.AreEqual((20, 0), (ranks[0].Reports, ranks[1].Reports));
        Assert.AreEqual((0, 1), (ranks[0].LocalRank, ranks[1].LocalRank));
        Assert.Contains("rank 1 of 2, ", ranks[1].Ranks);
    }

    /// <summary>Rows, micro-batches and ranks that do not divide one another, masks of dropout, and validation in between.</summary>
    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    [DataRow(3)]
    [DataRow(4)]
    public void TheSameNumberOfRanksGivesTheSameBits(int ranks)
    {
        string[] arguments =
        [
            "NumberOfEpochs=4", "BatchSize=5", "GradientAccumulationSteps=2", "Dropout=0.1", "EvaluationSteps=2", "validates=1",
        ];

        RankResult[] first = MpiLaunch.Trained(ranks, arguments), again = MpiLaunch.Trained(ranks, arguments);

        foreach (RankResult rank in first.Concat(again))
        {
            CollectionAssert.AreEqual(first[0].Losses, rank.Losses);
            CollectionAssert.AreEqual(first[0].ValidationLosses, rank.ValidationLosses);
            CollectionAssert.AreEqual(first[0].LogitBits, rank.LogitBits);
        }
    }

    [TestMethod]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(4)]
    public void SumsAreThoseInTheOrderOfTheRanks(int ranks) => MpiLaunch.Trained(ranks, "sums=1");

    /// <summary>Before the first step, with the same words on every rank.</summary>
    [TestMethod]
    [DataRow("1:LearningRate=0.1", "Rank 1 of 2 is set up otherwise than rank 0. ", "LearningRate: rank 0 has 0.005, rank 1 0.1")]
    [DataRow("1:otherRows=1", "Rank 1 of 2 is set up otherwise than rank 0. ", "Training rows: rank 0 has 12, ")]
    [DataRow("1:Rank=2", "Rank 1 of 2 is set up otherwise than rank 0. ", "Rank: rank 0 has 4, rank 1 2")]
    [DataRow("BatchSize=1", "Ranks is 2, and BatchSize is 1, ", "Raise BatchSize")]
    public void RanksThatDoNotFitTogetherAreRefusedEverywhere(string argument, string beginning, string part)
    {
        (int exitCode, _, RankResult[] results) = MpiLaunch.Train(2, argument);

        Assert.AreEqual(3, exitCode);
        Assert.HasCount(2, results);
        foreach (RankResult result in results)
        {
            Assert.Contains(beginning, result.Error!);
            Assert.Contains(part, result.Error!);
            Assert.AreEqual(0, result.Reports);
        }
    }

    /// <summary>A folder of the same size on another machine, with one bit in one weight that is another.</summary>
    [TestMethod]
    public void AnotherModelIsFoundBeforeTheFirstStep()
    {
        using var folder = new TemporaryFolder();
        TemplateFolder.CopyModel(folder.Path);
        string weights = folder.File("model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        bytes[^2] ^= 1;
        File.WriteAllBytes(weights, bytes);

        (int exitCode, _, RankResult[] results) = MpiLaunch.Train(2, $"1:ModelFolder={folder.Path}");

        Assert.AreEqual(3, exitCode);
        Assert.HasCount(2, results);
        foreach (RankResult result in results)
        {
            Assert.Contains("Rank 1 of 2 is set up otherwise than rank 0. ", result.Error!);
            Assert.Contains("Base: copy rank 0's model folder, whose weights are others, to the other machines.", result.Error!);
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
        (int exitCode, _, RankResult[] results) = MpiLaunch.Train(2, argument);

        Assert.AreEqual(3, exitCode);
        Assert.HasCount(2, results);
        Assert.Contains(said, results[0].Error!);
        Assert.DoesNotContain(said, results[1].Error!);
    }

    /// <summary>It must not wait for one that has left for good.</summary>
    [TestMethod]
    public void ARankThatGoesOnAloneIsTold()
    {
        (int exitCode, _, RankResult[] results) = MpiLaunch.Train(2, "1:leaves=1", "0:again=1");

        Assert.AreEqual(3, exitCode);
        Assert.Contains("Another rank has left already: it disposed of its SorsaMpi", results[0].Error!);
    }

    [TestMethod]
    [DataRow("library=libnone.so", "there is no MPI library to load: libnone.so: cannot open shared object file")]
    [DataRow("1:library=libnone.so", "there is no MPI library to load: libnone.so: cannot open shared object file")]
    [DataRow("library=libz.so.1", "The library 'libz.so.1' has no MPI_Init_thread, MPI_Comm_rank, ")]
    [DataRow("library=/etc/hostname", "there is no MPI library to load: /etc/hostname: ")]
    public void ALibraryThatDoesNotServeIsNamedAndEndsThemAll(string argument, string said)
    {
        (int exitCode, string errors, RankResult[] results) = MpiLaunch.Train(2, argument);

        Assert.AreNotEqual(0, exitCode);
        Assert.IsEmpty(results);
        Assert.Contains(said, errors);
        Assert.Contains("SorsaMpi.Initialize(library)", errors);
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
        if (MpiLaunch.Find(launcher) is null)
        {
            Assert.Inconclusive($"There is no {launcher}.");
        }

        RankResult[] usual = MpiLaunch.Trained(2), results = Run();

        Assert.HasCount(2, results);
        Assert.Contains(product, results[0].Ranks);
        CollectionAssert.AreEqual(usual[0].LogitBits, results[0].LogitBits);
        CollectionAssert.AreEqual(usual[0].LogitBits, results[1].LogitBits);
        if (MpiLaunch.Find(launcher == "mpirun.mpich" ? "mpirun.openmpi" : "mpirun.mpich") is not null)
        {
            Assert.IsEmpty(Run($"library={other}"));
        }

        RankResult[] Run(params string[] arguments)
        {
            using var folder = new TemporaryFolder();
            using Process process = MpiLaunch.Start(launcher, 2, folder.Path, arguments);
            (_, string errors, RankResult[] results) = MpiLaunch.End(process, folder.Path);
            Assert.IsTrue(arguments.Length == 0 || errors.Contains("are not of the same product", StringComparison.Ordinal));
            return results;
        }
    }
}
