using System.Runtime.Versioning;
using System.Text;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Tests.Files;
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

    /// <summary>What is not as it was written is made again: the triplets are those of a folder that nobody touched.</summary>
    [TestMethod]
    [DynamicData(nameof(Alterations))]
    public void AnAlteredFileIsMadeAgain(string name, Func<byte[], byte[]> alter)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor weight = randn([16, 24], generator: generator);
        var cache = new DecompositionCache(folder.Path, 4, seed: 0);
        byte[] before = Bits();
        string file = Directory.GetFiles(folder.Path).Single();
        byte[] whole = File.ReadAllBytes(file), altered = alter(whole);
        File.WriteAllBytes(file, altered);

        byte[] after = Bits();

        CollectionAssert.AreNotEqual(whole, altered, name);
        Assert.AreEqual((2, 0), (cache.Made, cache.Found), name);
        CollectionAssert.AreEqual(before, after, name);
        CollectionAssert.AreEqual(before, Bits(), name);
        Assert.AreEqual((2, 1), (cache.Made, cache.Found), name);

        byte[] Bits()
        {
            (Tensor u, Tensor s, Tensor vt) = cache.Leading(weight, 3, comesAgain: true);
            return [.. u.bytes, .. s.bytes, .. vt.bytes];
        }
    }

    public static IEnumerable<object[]> Alterations
    {
        get
        {
            foreach (int fromTheEnd in new[] { 1, 30, 65, 68, 70, 200, 400, 600 })
            {
                yield return [$"a bit {fromTheEnd} bytes from the end", Altered(bytes => bytes[^fromTheEnd] ^= 1)];
            }

            yield return ["a NaN", Altered(bytes => BitConverter.TryWriteBytes(bytes.AsSpan(bytes.Length - 200), float.NaN))];
            yield return ["zeros", Altered(bytes => bytes.AsSpan(bytes.Length - 400, 40).Clear())];
            yield return ["another name", Renamed("\"U\"", "\"W\"")];
            yield return ["U and s exchanged", Renamed("\"U\"", "\"?\"", "\"s\"", "\"U\"", "\"?\"", "\"s\"")];
            yield return ["another shape", Renamed("[16,4]", "[4,16]")];
            yield return ["another type", Renamed("F32", "I32")];
            yield return ["nothing", new Func<byte[], byte[]>(_ => [])];
            foreach (string attack in new[] { "svd-nan", "svd-native-error", "svd-silent-zeros" })
            {
                string file = Directory.GetFiles(TestData.Attack(attack), "*.safetensors").Single();
                yield return [attack, new Func<byte[], byte[]>(_ => File.ReadAllBytes(file))];
            }

            static Func<byte[], byte[]> Altered(Action<byte[]> act) => bytes =>
            {
                byte[] copy = [.. bytes];
                act(copy);
                return copy;
            };

            // Of the same length, so that the header's own stays right.
            static Func<byte[], byte[]> Renamed(params string[] pairs) => bytes => Encoding.Latin1.GetBytes(
                pairs.Chunk(2).Aggregate(Encoding.Latin1.GetString(bytes), (text, pair) =>
                    text.Replace(pair[0], pair[1], StringComparison.Ordinal)));
        }
    }

    /// <summary>A right file under another matrix's name is another matrix's.</summary>
    [TestMethod]
    public void AFileOfAnotherMatrixIsMadeAgain()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var cache = new DecompositionCache(folder.Path, 4, seed: 0);
        cache.Leading(eye(6), 4, comesAgain: true);
        string file = Directory.GetFiles(folder.Path).Single();
        File.Delete(file);
        cache.Leading(eye(6) * 3, 4, comesAgain: true);
        File.Move(Directory.GetFiles(folder.Path).Single(), file);

        (_, Tensor s, _) = cache.Leading(eye(6), 4, comesAgain: true);

        Assert.AreEqual((3, 0), (cache.Made, cache.Found));
        Assert.IsTrue(s.allclose(ones(4)));
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    [SupportedOSPlatform("linux")]
    public void TheFolderIsTheUsersAlone()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string path = folder.File("svd");

        new DecompositionCache(path, 4, seed: 0).Leading(eye(6), 4, comesAgain: true);

        Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(path));
    }

    /// <summary>
    /// Decompositions of zeros under the right names, in a folder that somebody else made where a worker's is expected; or in one of the
    /// user's that everybody may write into.
    /// </summary>
    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    [SupportedOSPlatform("linux")]
    public void AttackWhatAnotherUserPutThereIsNotBelieved()
    {
        if (Environment.UserName != "root")
        {
            Assert.Inconclusive("Only root can give a file away.");
        }

        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var cache = new DecompositionCache(folder.Path, 4, seed: 0);
        cache.Leading(eye(6), 4, comesAgain: true);
        PrivateFolderTests.GiveAway(Directory.GetFiles(folder.Path).Single());
        cache.Leading(eye(6), 4, comesAgain: true);
        Assert.AreEqual((2, 0), (cache.Made, cache.Found));
        cache.Leading(eye(6), 4, comesAgain: true);
        Assert.AreEqual((2, 1), (cache.Made, cache.Found));

        PrivateFolderTests.GiveAway(folder.Path);
        string refused = Assert.ThrowsExactly<UnauthorizedAccessException>(() => new DecompositionCache(folder.Path, 4, seed: 0)).Message;

        Assert.Contains("Name a folder of your own for decompositions, or remove this one.", refused);
        Assert.ThrowsExactly<UnauthorizedAccessException>(() => cache.Leading(eye(6), 4, comesAgain: true));
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
