using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

[TestClass]
[TestCategory("Decomposition")]
[TestCategory("Sorsa")]
[TestCategory("Numeric")]
public sealed class SorsaTruncatedSvdTests
{
    public static IEnumerable<object[]> Runs => TestData.Rows(TestData.Golden("sorsa"), "*.json");

    [TestMethod]
    [DynamicData(nameof(Runs))]
    public void TheAuthorsDecompositionIsMet(string file)
    {
        TestData.Require(file);
        using var scope = NewDisposeScope();
        using JsonDocument run = JsonDocument.Parse(File.ReadAllText(file));
        int rank = run.RootElement.GetProperty("rank").GetInt32();
        using Checkpoint golden = Checkpoint.OpenFile(Path.ChangeExtension(file, ".safetensors"));
        using Checkpoint model = Checkpoint.OpenFolder(TestData.Golden("models", run.RootElement.GetProperty("base").GetString()!));
        string[] paths = [.. golden.Names.Select(name => name.Split('.')).Where(parts => parts[0] == "svd" && parts[^1] == "s")
            .Select(parts => string.Join('.', parts[1..^1]))];
        Assert.IsNotEmpty(paths);
        using var generator = new Generator(1);

        foreach (string path in paths)
        {
            Tensor weight = model.Tensors[path + ".weight"].to(ScalarType.Float32);
            (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Decompose(weight, rank, generator);

            Assert.IsLessThanOrEqualTo(TestDevice.Limit(3e-6), Largest(s - golden.Tensors[$"svd.{path}.s"]), path);
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(3e-6), Largest((u * s).mm(vt) - golden.Tensors[$"svd.{path}.principal"]), path);
        }
    }

    [TestMethod]
    [DataRow(40, 24)]
    [DataRow(24, 40)]
    [DataRow(24, 24)]
    public void TheExactOneHoldsTheTopTripletsInOrder(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        (Tensor weight, Tensor left, double[] spectrum, Tensor right) = Known(rows, columns, i => 1.0 / (i + 1), ScalarType.Float64);

        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Exact(weight, 5);

        AssertShapes(rows, columns, 5, u, s, vt);
        for (int i = 0; i < 5; i++)
        {
            Assert.AreEqual(spectrum[i], s[i].item<double>(), 1e-12);
        }

        Tensor expected = (left.narrow(1, 0, 5) * tensor(spectrum).OnDevice().narrow(0, 0, 5)).mm(right.narrow(0, 0, 5));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest((u * s).mm(vt) - expected));
    }

    [TestMethod]
    [DataRow(400, 300)]
    [DataRow(300, 400)]
    [DataRow(350, 350)]
    public void TheRandomisedOneIsNearOnADecayingSpectrum(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        (Tensor weight, _, double[] spectrum, _) = Known(rows, columns, i => Math.Pow(i + 1, -0.5), ScalarType.Float32);

        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Randomized(weight, 8, generator);

        AssertShapes(rows, columns, 8, u, s, vt);
        for (int i = 0; i < 8; i++)
        {
            Assert.AreEqual(spectrum[i], s[i].item<float>(), 3e-4 * spectrum[i]);
        }

        double top = spectrum.Take(8).Sum(value => value * value);
        double kept = u.t().mm(weight).square().sum().item<float>();
        Assert.IsGreaterThanOrEqualTo(0.9999, kept / top);
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest(u.t().mm(u) - eye(8).OnDevice()));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest(vt.mm(vt.t()) - eye(8).OnDevice()));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-4), Largest(weight.mm(vt.t()) - (u * s)));
    }

    /// <summary>Krylov blocks of such a matrix are rounding noise from some round on.</summary>
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(3)]
    public void AMatrixOfLowerRankGivesOrthonormalVectors(int matrixRank)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        (Tensor weight, _, double[] spectrum, _) = Known(200, 160, i => i < matrixRank ? 1.0 / (i + 1) : 0, ScalarType.Float32);

        foreach ((Tensor u, Tensor s, Tensor vt) in new[] { TruncatedSvd.Exact(weight, 6), TruncatedSvd.Randomized(weight, 6, generator) })
        {
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest((u * s).mm(vt) - weight));
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest(u.t().mm(u) - eye(6).OnDevice()));
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest(vt.mm(vt.t()) - eye(6).OnDevice()));
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest(s - tensor(spectrum).OnDevice().narrow(0, 0, 6)));
        }
    }

    [TestMethod]
    public void TheGeneratorAloneDecidesEveryBit()
    {
        using var scope = NewDisposeScope();
        Tensor weight = rand(300, 200).OnDevice();

        byte[] first = Bits(7);
        _ = rand(10).OnDevice();
        CollectionAssert.AreEqual(first, Bits(7));
        CollectionAssert.AreNotEqual(first, Bits(8));

        byte[] Bits(ulong seed)
        {
            using var generator = new Generator(seed);
            (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Randomized(weight, 4, generator);
            return [.. u.cpu().bytes, .. s.cpu().bytes, .. vt.cpu().bytes];
        }
    }

    [TestMethod]
    public void TheCheaperOneIsChosen()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor small = rand(60, 40).OnDevice(), large = rand(300, 320).OnDevice();

        Assert.IsTrue(TruncatedSvd.Decompose(small, 4, generator).S.allclose(TruncatedSvd.Exact(small, 4).S, 0, 0));
        Assert.IsFalse(TruncatedSvd.IsRandomizedCheaper(40, 4));
        Assert.IsTrue(TruncatedSvd.IsRandomizedCheaper(4096, 128));
        Assert.IsFalse(TruncatedSvd.IsRandomizedCheaper(1024, 128));
        using var again = new Generator(9);
        using var same = new Generator(9);
        Assert.IsTrue(TruncatedSvd.Decompose(large, 4, again).U.allclose(TruncatedSvd.Randomized(large, 4, same).U, 0, 0));
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(-1)]
    [DataRow(25)]
    public void ARankOutOfRangeIsRefused(int rank)
    {
        using var generator = new Generator(1);
        using Tensor weight = rand(24, 40).OnDevice();

        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => TruncatedSvd.Decompose(weight, rank, generator));

        Assert.AreEqual("rank", error.ParamName);
        Assert.AreEqual(rank, error.ActualValue);
        Assert.Contains("[24, 40] has ranks from 1 to 24", error.Message);
    }

    [TestMethod]
    [DataRow(24)]
    [DataRow(1)]
    public void TheLimitsOfTheRankAreAllowed(int rank)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor weight = rand(24, 40).OnDevice();

        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Decompose(weight, rank, generator);

        AssertShapes(24, 40, rank, u, s, vt);
        if (rank == 24)
        {
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest((u * s).mm(vt) - weight));
        }
    }

    private static void AssertShapes(int rows, int columns, int rank, Tensor u, Tensor s, Tensor vt)
    {
        long[][] expected = [[rows, rank], [rank], [rank, columns]];
        foreach ((long[] shape, Tensor tensor) in expected.Zip([u, s, vt]))
        {
            CollectionAssert.AreEqual(shape, tensor.shape);
            Assert.IsTrue(tensor.is_contiguous());
        }
    }

    /// <summary>
    /// A card's form of the randomised decomposition, of spectra that fall and of such that hardly do, on whatever device.
    /// </summary>
    [TestMethod]
    [DataRow(320, 480, 0.0)]
    [DataRow(480, 320, 0.25)]
    [DataRow(400, 400, 0.5)]
    [DataRow(400, 400, 1.0)]
    [DataRow(320, 480, 3.0)]
    public void SubspaceIterationHoldsTheEnergyOfTheExactOne(int rows, int columns, double decay)
    {
        using var scope = NewDisposeScope();
        (Tensor weight, _, double[] spectrum, _) = Known(rows, columns, i => Math.Pow(i + 1, -decay), ScalarType.Float32);
        using var generator = new Generator(3);

        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Iterated(weight, 12, generator);

        AssertShapes(rows, columns, 12, u, s, vt);
        double exact = spectrum.Take(12).Sum(value => value * value);
        Assert.IsGreaterThanOrEqualTo(0.9999, Caught(weight, u) / exact);
        Assert.IsGreaterThanOrEqualTo(0.9999, Caught(weight.t(), vt.t()) / exact);
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(u.t().mm(u) - eye(12).OnDevice()));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(vt.mm(vt.t()) - eye(12).OnDevice()));
        Assert.IsTrue(s.diff().le(0).all().item<bool>());
    }

    /// <summary>Of a random matrix, whose singular values lie closest to each other: the exact decomposition says what there is.</summary>
    [TestMethod]
    [DataRow(300, 300, 16)]
    [DataRow(500, 260, 8)]
    [DataRow(260, 500, 8)]
    public void SubspaceIterationHoldsTheEnergyOfNoise(int rows, int columns, int rank)
    {
        using var scope = NewDisposeScope();
        using Generator numbers = new(5), generator = new(3);
        Tensor weight = randn([rows, columns], ScalarType.Float32, generator: numbers).OnDevice();

        (Tensor u, _, _) = TruncatedSvd.Iterated(weight, rank, generator);

        double exact = Caught(weight, TruncatedSvd.Exact(weight, rank).U);
        Assert.IsGreaterThanOrEqualTo(0.9999, Caught(weight, u) / exact);
    }

    [TestMethod]
    public void SubspaceIterationOfTheSameSeedGivesTheSameBits()
    {
        using var scope = NewDisposeScope();
        (Tensor weight, _, _, _) = Known(300, 260, i => 1.0 / (i + 1), ScalarType.Float32);
        using Generator one = new(3), same = new(3);

        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Iterated(weight, 8, one);
        (Tensor again, Tensor sAgain, Tensor vtAgain) = TruncatedSvd.Iterated(weight, 8, same);

        Assert.IsTrue(u.allclose(again, 0, 0) && s.allclose(sAgain, 0, 0) && vt.allclose(vtAgain, 0, 0));
    }

    /// <summary>Fewer directions than triplets: the others are zero, and their vectors orthonormal all the same.</summary>
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(5)]
    public void SubspaceIterationBearsMatricesOfLowRank(int directions)
    {
        using var scope = NewDisposeScope();
        (Tensor weight, _, double[] spectrum, _) = Known(280, 300, i => i < directions ? 3.0 - (i * 0.5) : 0, ScalarType.Float32);
        using var generator = new Generator(3);

        (Tensor u, Tensor s, Tensor vt) = TruncatedSvd.Iterated(weight, 8, generator);

        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest(s - tensor(spectrum[..8]).OnDevice()));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest((u * s).mm(vt) - weight));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(u.t().mm(u) - eye(8).OnDevice()));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(vt.mm(vt.t()) - eye(8).OnDevice()));
    }

    /// <summary>‖basisᵀ W‖², in float64.</summary>
    private static double Caught(Tensor weight, Tensor basis) =>
        basis.to(ScalarType.Float64).t().mm(weight.to(ScalarType.Float64)).square().sum().item<double>();

    /// <summary>A matrix made of known triplets.</summary>
    private static (Tensor Weight, Tensor Left, double[] Spectrum, Tensor Right) Known(
        int rows, int columns, Func<int, double> value, ScalarType type)
    {
        using var generator = new Generator(11);
        int smaller = Math.Min(rows, columns);
        double[] spectrum = [.. Enumerable.Range(0, smaller).Select(value)];
        Tensor left = linalg.qr(randn([rows, smaller], ScalarType.Float64, generator: generator).OnDevice()).Q;
        Tensor right = linalg.qr(randn([columns, smaller], ScalarType.Float64, generator: generator).OnDevice()).Q.t();
        return ((left * tensor(spectrum).OnDevice()).mm(right).to(type), left, spectrum, right);
    }

    private static double Largest(Tensor difference) => difference.abs().max().to(ScalarType.Float64).item<double>();
}
