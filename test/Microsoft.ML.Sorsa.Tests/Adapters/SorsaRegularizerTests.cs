using Microsoft.ML.Sorsa.Adapters;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

[TestClass]
[TestCategory("Sorsa")]
[TestCategory("Numeric")]
public sealed class SorsaRegularizerTests
{
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void TheValueIsTheUnsquaredNorm(bool mean)
    {
        using var scope = NewDisposeScope();
        OrthonormalFactor[] factors = Random();

        double value = new OrthonormalityRegularizer(factors, mean).Measure();

        double sum = factors.Sum(BruteForce);
        Assert.AreEqual(mean ? sum / factors.Length : sum, value, 1e-12);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void TheGradientIsTheFiniteDifferenceAndIsAdded(bool mean)
    {
        using var scope = NewDisposeScope();
        const double Weight = 0.7, Step = 1e-6;
        OrthonormalFactor[] factors = Random();
        Array.ForEach(factors, factor => factor.Matrix.grad = ones_like(factor.Matrix));
        var regularizer = new OrthonormalityRegularizer(factors, mean);

        double value = regularizer.AddGradient(Weight);

        Assert.AreEqual(regularizer.Measure(), value, 1e-14);
        using var noGrad = no_grad();
        foreach (OrthonormalFactor factor in factors)
        {
            Tensor flat = factor.Matrix.view(-1), slopes = factor.Matrix.grad!.view(-1);
            for (long i = 0; i < flat.numel(); i++)
            {
                flat[i].add_(Step);
                double up = regularizer.Measure();
                flat[i].sub_(2 * Step);
                double down = regularizer.Measure();
                flat[i].add_(Step);
                Assert.AreEqual(1 + (Weight * (up - down) / (2 * Step)), slopes[i].item<double>(), 1e-7);
            }
        }
    }

    [TestMethod]
    public void AtAnExactlyOrthonormalStartTheGradientIsZero()
    {
        using var scope = NewDisposeScope();
        OrthonormalFactor[] factors =
            [new(new Parameter(eye(6, 3).OnDevice()), Rows: false), new(new Parameter(eye(3, 6).OnDevice()), Rows: true)];
        Array.ForEach(factors, factor => factor.Matrix.grad = zeros_like(factor.Matrix));

        Assert.AreEqual(0, new OrthonormalityRegularizer(factors, mean: true).AddGradient(1000));
        Assert.IsTrue(factors.All(factor => factor.Matrix.grad!.abs().max().item<float>() == 0));
    }

    /// <summary>The unsquared norm's own gradient has length 2 there, in a direction that is rounding noise.</summary>
    [TestMethod]
    public void NearAnOrthonormalStartTheGradientIsSmall()
    {
        using var scope = NewDisposeScope();
        var matrix = new Parameter(linalg.qr(randn(200, 16).OnDevice()).Q.contiguous());
        matrix.grad = zeros_like(matrix);

        double value = new OrthonormalityRegularizer([new OrthonormalFactor(matrix, Rows: false)], mean: true).AddGradient(1);

        Assert.IsLessThan(1e-5, value);
        float length = matrix.grad!.norm().item<float>();
        Assert.IsTrue(float.IsFinite(length));
        Assert.AreEqual(2 * value / 1e-4, length, 0.02 * length + 1e-6);
    }

    [TestMethod]
    public void BeforeABackwardThereIsNothingToAddTo()
    {
        using var scope = NewDisposeScope();

        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => new OrthonormalityRegularizer(Random(), mean: true).AddGradient(1));

        Assert.Contains("call backward first", error.Message);
    }

    [TestMethod]
    public void WithoutFactorsItIsZero() => Assert.AreEqual(0, new OrthonormalityRegularizer([], mean: true).AddGradient(1));

    private static OrthonormalFactor[] Random()
    {
        using var generator = new Generator(21);
        return [new(Draw(6, 3), Rows: false), new(Draw(3, 5), Rows: true), new(Draw(4, 4), Rows: false), new(Draw(1, 5), Rows: true)];

        Parameter Draw(long rows, long columns) => new(randn([rows, columns], ScalarType.Float64, generator: generator).OnDevice());
    }

    private static double BruteForce(OrthonormalFactor factor)
    {
        Tensor vectors = factor.Rows ? factor.Matrix : factor.Matrix.t();
        double squares = 0;
        for (long a = 0; a < vectors.shape[0]; a++)
        {
            for (long b = 0; b < vectors.shape[0]; b++)
            {
                double product = 0;
                for (long i = 0; i < vectors.shape[1]; i++)
                {
                    product += vectors[a, i].item<double>() * vectors[b, i].item<double>();
                }

                squares += Math.Pow(product - (a == b ? 1 : 0), 2);
            }
        }

        return Math.Sqrt(squares);
    }
}
