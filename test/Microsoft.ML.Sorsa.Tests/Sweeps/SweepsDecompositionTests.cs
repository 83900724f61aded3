using Microsoft.ML.Sorsa.Adapters.Decompositions;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Decompositions that trials share.</summary>
[TestClass]
[TestCategory("Sweeps")]
[TestCategory("Decomposition")]
public sealed class SweepsDecompositionTests
{
    /// <summary>
    /// Of a smaller rank the first triplets of the largest one: on a matrix that is decomposed exactly, those of its own decomposition, to
    /// the bit.
    /// </summary>
    [TestMethod]
    [DataRow(40, 24, 1)]
    [DataRow(40, 24, 7)]
    [DataRow(24, 40, 24)]
    public void ASmallerRankTakesTheFirstTriplets(int rows, int columns, int rank)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor weight = randn([rows, columns], generator: generator);
        var cache = new DecompositionCache(folder.Path, largestRank: 100, seed: 3);
        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Exact(weight, rank);
        for (int round = 0; round < 2; round++)
        {
            (Tensor cachedU, Tensor cachedS, Tensor cachedVt) = cache.Leading(weight, rank, comesAgain: true);

            Assert.IsTrue(
                cachedU.equal(u).all().item<bool>() && cachedS.equal(s).all().item<bool>() && cachedVt.equal(vt).all().item<bool>());
            Assert.IsTrue(cachedU.is_contiguous() && cachedVt.is_contiguous());
        }

        Assert.AreEqual((1, 1), (cache.Made, cache.Found));
        Assert.IsGreaterThan(TimeSpan.Zero, cache.Saved);
        Assert.HasCount(1, Directory.GetFiles(folder.Path));
    }

    /// <summary>
    /// The randomised form is drawn for each matrix anew: its bits do not depend on the matrices before it, nor on the process.
    /// </summary>
    [TestMethod]
    public void TheOrderOfTheMatricesDoesNotCount()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor first = randn([400, 300], generator: generator), second = randn([300, 400], generator: generator);
        Assert.IsTrue(TruncatedSvd.IsRandomizedCheaper(300, 4));
        string[] Bits(params Tensor[] order)
        {
            using var folder = new TemporaryFolder();
            var cache = new DecompositionCache(folder.Path, 4, seed: 3);
            return [.. order.Select(weight => (weight, cache.Leading(weight, 3, comesAgain: true)))
                .OrderBy(pair => pair.weight.shape[0])
                .Select(pair => Convert.ToHexString(pair.Item2.U.contiguous().bytes.ToArray()))];
        }

        CollectionAssert.AreEqual(Bits(first, second), Bits(second, first));
    }

    [TestMethod]
    public void AnotherMatrixIsNotTakenForIt()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        Tensor weight = eye(6), other = eye(6).clone();
        other[5, 5] = tensor(1.0000001f);
        var cache = new DecompositionCache(folder.Path, 4, seed: 0);
        foreach (Tensor matrix in new[] { weight, other, weight.to(ScalarType.Float64), ones(4, 9), ones(9, 4) })
        {
            cache.Leading(matrix, 2, comesAgain: true);
        }

        Assert.AreEqual((5, 0), (cache.Made, cache.Found));
        new DecompositionCache(folder.Path, 5, seed: 0).Leading(weight, 2, comesAgain: true);
        new DecompositionCache(folder.Path, 4, seed: 1).Leading(weight, 2, comesAgain: true);
        Assert.HasCount(7, Directory.GetFiles(folder.Path));
    }

    [TestMethod]
    public void WhatComesOnceIsNotKept()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var cache = new DecompositionCache(folder.Path, 4, seed: 0);
        (_, Tensor s, _) = cache.Leading(eye(6) * 3, 5, comesAgain: false);

        Assert.IsTrue(s.allclose(ones(5) * 3));
        Assert.IsEmpty(Directory.GetFiles(folder.Path));
    }

    [TestMethod]
    public void ARankAboveWhatIsKeptIsRefused()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var cache = new DecompositionCache(folder.Path, 4, seed: 0);

        Assert.Contains(
            "kept up to rank 4",
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => cache.Leading(eye(6), 5, comesAgain: true)).Message);
    }

    [TestMethod]
    public void AFileThatIsCutShortIsMadeAgain()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var cache = new DecompositionCache(folder.Path, 4, seed: 0);
        cache.Leading(eye(6), 4, comesAgain: true);
        string file = Directory.GetFiles(folder.Path).Single();
        byte[] whole = File.ReadAllBytes(file);
        File.WriteAllBytes(file, whole[..100]);
        (Tensor u, _, _) = cache.Leading(eye(6), 4, comesAgain: true);

        Assert.AreEqual((2, 0), (cache.Made, cache.Found));
        Assert.IsTrue(u.t().mm(u).allclose(eye(4)));
        Assert.HasCount(whole.Length, File.ReadAllBytes(Directory.GetFiles(folder.Path).Single()));
    }

    /// <summary>The number of threads decides the last bits of a decomposition.</summary>
    [TestMethod]
    public void AnotherNumberOfThreadsIsAnotherFile()
    {
        using var folder = new TemporaryFolder();
        var cache = new DecompositionCache(folder.Path, 4, seed: 0);
        var thread = new Thread(() =>
        {
            using var scope = NewDisposeScope();
            int threads = get_num_threads();
            cache.Leading(eye(6), 4, comesAgain: true);
            set_num_threads(threads + 1);
            cache.Leading(eye(6), 4, comesAgain: true);
            set_num_threads(threads);
        });
        thread.Start();
        thread.Join();

        Assert.AreEqual((2, 0), (cache.Made, cache.Found));
    }
}
