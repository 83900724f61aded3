using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Analysis;

/// <summary>Two matrices by their singular values and vectors, against the reference, closed formulas and plain loops.</summary>
[TestClass]
[TestCategory("Analysis")]
public sealed class MatrixComparisonTests
{
    private static readonly string s_golden = TestData.Golden("numeric", "analysis.safetensors");

    public static IEnumerable<object[]> Pairs => File.Exists(s_golden)
        ? Expected().Select(pair => new object[] { pair.Key })
        : [[s_golden]];

    [TestMethod]
    [DynamicData(nameof(Pairs))]
    public void TheReferenceIsMet(string name)
    {
        TestData.Require(s_golden);
        using Checkpoint golden = Checkpoint.OpenFile(s_golden);
        JsonNode expected = Expected()[name]!;

        MatrixComparison found = Compare(golden.Tensors[name + ".w0"], golden.Tensors[name + ".wt"]);

        Assert.AreEqual((double)expected["delta_sigma"]!, found.SingularValueChange, 1e-9);
        Assert.AreEqual(Math.Max(0, (double)expected["delta_d"]!), found.SingularVectorChange, 1e-9);
        Assert.IsTrue(found.SingularVectorChange is >= 0 and <= 1);
    }

    /// <summary>By the definitions, over a decomposition of another kind.</summary>
    [TestMethod]
    [DataRow(7, 12)]
    [DataRow(12, 7)]
    [DataRow(9, 9)]
    [DataRow(1, 1)]
    [DataRow(1, 6)]
    [DataRow(6, 1)]
    public void PlainLoopsFindTheSame(int rows, int columns)
    {
        foreach (double step in new[] { 0.01, 0.3, 3 })
        {
            (double[,] initial, double[,] present) = Random(rows, columns, step, seed: rows * 100 + columns);
            JacobiSvd from = JacobiSvd.Of(initial), to = JacobiSvd.Of(present), update = JacobiSvd.Of(Difference(present, initial));
            int k = Math.Min(rows, columns);
            double values = 0, vectors = 0;
            int intruders = 0;
            for (int i = 0; i < k; i++)
            {
                values += Math.Abs(to.Triplets[i].Value - from.Triplets[i].Value) / k;
                vectors += Math.Abs(JacobiSvd.Dot(to.Triplets[i].Left, from.Triplets[i].Left)) / (2 * k);
                vectors += Math.Abs(JacobiSvd.Dot(to.Triplets[i].Right, from.Triplets[i].Right)) / (2 * k);
                bool isIntruder = from.Triplets.All(triplet => Math.Abs(JacobiSvd.Dot(to.Triplets[i].Left, triplet.Left)) < 0.6);
                intruders += i < 4 && isIntruder ? 1 : 0;
            }

            double sum = update.Triplets.Sum(triplet => triplet.Value);
            double entropy = -update.Triplets.Sum(triplet => triplet.Value / sum * Math.Log(triplet.Value / sum));

            MatrixComparison found = Compare(tensor(initial), tensor(present), candidates: 4, threshold: 0.6);

            Assert.AreEqual(values, found.SingularValueChange, 1e-10);
            Assert.AreEqual(Math.Clamp(1 - vectors, 0, 1), found.SingularVectorChange, 1e-10);
            Assert.AreEqual(Math.Exp(entropy), found.EffectiveRank, 1e-9);
            Assert.AreEqual(intruders, found.IntruderDimensions);
        }
    }

    /// <summary>R(θ) diag(3, 1) turns both left vectors by θ and leaves the rest.</summary>
    [TestMethod]
    [DataRow(0.0)]
    [DataRow(0.4)]
    [DataRow(-2.0)]
    public void ARotationTurnsTheLeftVectorsAlone(double angle)
    {
        (double cos, double sin) = (Math.Cos(angle), Math.Sin(angle));
        double[,] initial = { { 3, 0 }, { 0, 1 } }, present = { { 3 * cos, -sin }, { 3 * sin, cos } };

        MatrixComparison found = Compare(tensor(initial), tensor(present), threshold: 0.9);

        Assert.AreEqual(0, found.SingularValueChange, 1e-15);
        Assert.AreEqual((1 - Math.Abs(cos)) / 2, found.SingularVectorChange, 1e-15);
        Assert.AreEqual(Math.Max(Math.Abs(cos), Math.Abs(sin)) < 0.9 ? 2 : 0, found.IntruderDimensions);
    }

    [TestMethod]
    [DataRow(ScalarType.Float64)]
    [DataRow(ScalarType.Float32)]
    [DataRow(ScalarType.BFloat16)]
    public void EqualMatricesDidNotChange(ScalarType type)
    {
        using var scope = NewDisposeScope();
        Tensor matrix = tensor(Random(20, 12, 0, seed: 1).Initial).to(type);

        MatrixComparison found = Compare(matrix, matrix.clone());

        Assert.AreEqual(0, found.SingularValueChange);
        Assert.AreEqual(0, found.SingularVectorChange, 1e-15);
        Assert.AreEqual(0, found.EffectiveRank);
        Assert.AreEqual(0, found.IntruderDimensions);
    }

    [TestMethod]
    public void ATransposedPairMovedAsFar()
    {
        using var scope = NewDisposeScope();
        (double[,] initial, double[,] present) = Random(15, 6, 0.4, seed: 3);

        MatrixComparison one = Compare(tensor(initial), tensor(present));
        MatrixComparison other = Compare(tensor(initial).t(), tensor(present).t());

        Assert.AreEqual(one.SingularValueChange, other.SingularValueChange, 1e-13);
        Assert.AreEqual(one.SingularVectorChange, other.SingularVectorChange, 1e-13);
        Assert.AreEqual(one.EffectiveRank, other.EffectiveRank, 1e-11);
    }

    /// <summary>The sign of a vector is arbitrary: −W has the singular values of W, and the same lines.</summary>
    [TestMethod]
    public void SignsDoNotCount()
    {
        using var scope = NewDisposeScope();
        Tensor matrix = tensor(Random(8, 5, 0, seed: 4).Initial);

        MatrixComparison found = Compare(matrix, matrix.neg());

        Assert.AreEqual(0, found.SingularValueChange, 1e-14);
        Assert.AreEqual(0, found.SingularVectorChange, 1e-14);
    }

    /// <summary>ΔΣ and the effective rank of what has no rank, or not the whole, are as their formulas say.</summary>
    [TestMethod]
    public void MatricesWithoutFullRankCanBeCompared()
    {
        using var scope = NewDisposeScope();
        foreach (ScalarType type in new[] { ScalarType.Float64, ScalarType.Float32 })
        {
            Tensor nothing = zeros([6, 4], type), one = zeros([6, 4], type), two = zeros([6, 4], type);
            one[0, 0] = tensor(2.0).to(type);
            two[0, 0] = two[1, 1] = tensor(2.0).to(type);

            Assert.AreEqual(0, Compare(nothing, nothing).SingularValueChange);
            Assert.AreEqual(0, Compare(nothing, nothing).EffectiveRank);
            Assert.AreEqual(0.5, Compare(nothing, one).SingularValueChange, 1e-15);
            Assert.AreEqual(1, Compare(nothing, one).EffectiveRank, 1e-12);
            Assert.AreEqual(2, Compare(nothing, two).EffectiveRank, 1e-12);
            Assert.AreEqual(0, Compare(two, two).SingularVectorChange, 1e-12);
            MatrixComparison found = Compare(one, two);
            Assert.AreEqual(0.5, found.SingularValueChange, 1e-12);
            Assert.IsTrue(found.SingularVectorChange is >= 0 and <= 1);
        }
    }

    /// <summary>A new direction above all others, outside of what W_0 reaches, is the one intruder.</summary>
    [TestMethod]
    [DataRow(10, 0.5, 1)]
    [DataRow(1, 0.5, 1)]
    [DataRow(100, 0.5, 1)]
    public void ADirectionThatWasNotThereIsAnIntruder(int candidates, double threshold, int expected)
    {
        using var scope = NewDisposeScope();
        Tensor initial = zeros([9, 4], ScalarType.Float64);
        for (int i = 0; i < 4; i++)
        {
            initial[i, i] = tensor(4.0 - i);
        }

        Tensor present = initial.clone();
        present[8, 0] = tensor(40.0);

        Assert.AreEqual(expected, Compare(initial, present, candidates, threshold).IntruderDimensions);
        Assert.AreEqual(0, Compare(initial, initial, candidates, threshold).IntruderDimensions);
    }

    [TestMethod]
    [DataRow(double.NaN)]
    [DataRow(double.PositiveInfinity)]
    public void ValuesThatAreNotFiniteAreRefused(double value)
    {
        using var scope = NewDisposeScope();
        Tensor whole = ones([3, 4], ScalarType.Float64), broken = whole.clone();
        broken[1, 2] = tensor(value);

        Assert.Contains("W_t", Assert.ThrowsExactly<ArithmeticException>(() => Compare(whole, broken)).Message);
        Assert.Contains("W_0", Assert.ThrowsExactly<ArithmeticException>(() => Compare(broken, whole)).Message);
    }

    /// <summary>
    /// The way over the Gram matrix differs from the general one by less than rounding the matrix to 32 bits did; where singular values are
    /// too small for it, it is not gone.
    /// </summary>
    [TestMethod]
    [DataRow(60, 40, 1e1)]
    [DataRow(40, 60, 1e3)]
    [DataRow(50, 50, 1e5)]
    [DataRow(50, 50, 1e9)]
    [DataRow(60, 40, double.PositiveInfinity)]
    public void TheShorterWayLosesLessThanRoundingDid(long rows, long columns, double condition)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(11);
        Tensor exact = OfCondition(rows, columns, condition, generator), rounded = exact.to(ScalarType.Float32).to(ScalarType.Float64);
        Tensor later = rounded + randn(rows, columns, ScalarType.Float64, generator: generator) * 1e-3;
        SingularDecomposition general = SingularDecomposition.Of(rounded, isRounded: false);

        SingularDecomposition found = SingularDecomposition.Of(rounded, isRounded: true);

        // Both are decompositions of the same matrix: each factor orthonormal, the product the matrix.
        Tensor product = (found.U * found.S).mm(found.V.t());
        Assert.AreEqual(0, (product - rounded).abs().max().item<double>(), 1e-13);
        Tensor gram = found.U.t().mm(found.U) - eye(Math.Min(rows, columns), dtype: ScalarType.Float64);
        Assert.AreEqual(0, gram.norm().item<double>(), Math.Min(condition * condition, 1e12) * 1e-15 + 1e-11);

        double worst = (found.S - general.S).abs().max().item<double>();
        double floor = (SingularDecomposition.Of(exact, isRounded: false).S - general.S).abs().max().item<double>();
        Assert.IsLessThan(floor, worst);

        double slow = Compare(rounded, later).SingularVectorChange;
        double fast = Compare(rounded.to(ScalarType.Float32), later).SingularVectorChange;
        double noise = Compare(exact, later).SingularVectorChange;
        Assert.AreEqual(slow, fast, Math.Max(Math.Abs(slow - noise), 1e-9));
    }

    /// <summary>What rounding leaves of an update of rank 1 in 32 bits does not count as directions.</summary>
    [TestMethod]
    public void AnUpdateOfOneDirectionHasRankOne()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(2);
        Tensor initial = zeros([200, 150], ScalarType.Float32);
        Tensor present = initial + ones(200, 1).mm(randn(1, 150, ScalarType.Float32, generator: generator));

        Assert.AreEqual(1, Compare(initial, present).EffectiveRank, 1e-12);
    }

    internal static MatrixComparison Compare(Tensor initial, Tensor present, int candidates = 10, double threshold = 0.5) =>
        MatrixComparison.Of(initial, present, candidates, threshold);

    private static JsonObject Expected() =>
        JsonNode.Parse(File.ReadAllText(TestData.Golden("numeric", "analysis.json")))!.AsObject();

    private static (double[,] Initial, double[,] Present) Random(int rows, int columns, double step, int seed)
    {
        var random = new Random(seed);
        (double[,] initial, double[,] present) = (new double[rows, columns], new double[rows, columns]);
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                initial[i, j] = random.NextDouble() * 2 - 1;
                present[i, j] = initial[i, j] + step * (random.NextDouble() * 2 - 1);
            }
        }

        return (initial, present);
    }

    private static double[,] Difference(double[,] a, double[,] b)
    {
        var difference = new double[a.GetLength(0), a.GetLength(1)];
        for (int i = 0; i < a.GetLength(0); i++)
        {
            for (int j = 0; j < a.GetLength(1); j++)
            {
                difference[i, j] = a[i, j] - b[i, j];
            }
        }

        return difference;
    }

    /// <summary>Singular values in equal ratios from 1 down to 1 / condition; 0 from the middle on where that is infinite.</summary>
    private static Tensor OfCondition(long rows, long columns, double condition, Generator generator)
    {
        long k = Math.Min(rows, columns);
        (Tensor u, _) = linalg.qr(randn(rows, k, ScalarType.Float64, generator: generator));
        (Tensor v, _) = linalg.qr(randn(columns, k, ScalarType.Float64, generator: generator));
        double[] values =
        [
            .. Enumerable.Range(0, (int)k).Select(i => double.IsInfinity(condition)
                ? (i < k / 2 ? 1.0 - i * 0.01 : 0)
                : Math.Pow(condition, -(double)i / (k - 1))),
        ];
        return (u * tensor(values)).mm(v.t());
    }
}
