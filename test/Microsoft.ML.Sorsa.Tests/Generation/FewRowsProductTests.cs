using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Generation;

[TestClass]
[TestCategory("Generation")]
public sealed class FewRowsProductTests
{
    /// <summary>
    /// Rows on both sides of four at a time, a prime number of outputs, several parts of W, and inputs that leave a rest behind any
    /// processor's vectors.
    /// </summary>
    public static IEnumerable<object[]> Shapes =>
        from rows in new long[] { 1, 2, 3, 4, 5, 8, 16 }
        from outputs in new long[] { 1, 7, 192, 1031 }
        from inputs in new long[] { 1, 40, 64, 577 }
        select new object[] { rows, outputs, inputs };

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void ItIsTheLinearMap(long rows, long outputs, long inputs)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(5);

        // Behind others in memory, as the last token of a prompt is.
        Tensor x = randn([rows + 3, 1, inputs], generator: generator).narrow(0, 3, rows);
        Tensor weight = randn([outputs, inputs], generator: generator);
        // A part of a larger tensor, as biases of a model object may be.
        Tensor? bias = outputs % 2 == 0 ? null : randn([outputs, 3], generator: generator).select(1, 1);

        Tensor y = FewRowsProduct.Compute(x, weight, bias);

        Assert.IsTrue(y.is_contiguous());
        CollectionAssert.AreEqual(new[] { rows, 1, outputs }, y.shape);
        Tensor expected = nn.functional.linear(x.to(ScalarType.Float64), weight.to(ScalarType.Float64), bias?.to(ScalarType.Float64));
        Assert.IsLessThan(1e-5 * Math.Sqrt(inputs), (y - expected).abs().max().item<double>());
    }

    /// <summary>bfloat16 in and out, and nothing but the result is rounded to it: half a unit of its last place, of eight bits.</summary>
    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void InBFloat16OnlyTheResultIsRounded(long rows, long outputs, long inputs)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(6);
        Tensor x = randn([rows, inputs], generator: generator).to(ScalarType.BFloat16);
        Tensor weight = randn([outputs, inputs], generator: generator).to(ScalarType.BFloat16);
        Tensor? bias = outputs % 2 == 0 ? null : randn([outputs], generator: generator);
        bias = outputs == 7 ? bias : bias?.to(ScalarType.BFloat16);

        Tensor y = FewRowsProduct.Compute(x, weight, bias);

        Assert.AreEqual(ScalarType.BFloat16, y.dtype);
        Tensor expected = nn.functional.linear(x.to(ScalarType.Float64), weight.to(ScalarType.Float64), bias?.to(ScalarType.Float64));
        Tensor allowed = expected.abs() * (1.0 / 256) + 1e-5 * Math.Sqrt(inputs);
        Assert.IsTrue((y.to(ScalarType.Float64) - expected).abs().le(allowed).all().item<bool>());
    }

    /// <summary>So an answer is the same, whoever else is answered in the same step.</summary>
    [TestMethod]
    [DataRow(ScalarType.Float32)]
    [DataRow(ScalarType.BFloat16)]
    public void ARowsValuesDoNotDependOnTheOthers(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(7);
        Tensor x = randn([7, 577], generator: generator).to(type), weight = randn([1031, 577], generator: generator).to(type);

        Tensor together = FewRowsProduct.Compute(x, weight, null);

        for (long row = 0; row < x.shape[0]; row++)
        {
            Assert.IsTrue(FewRowsProduct.Compute(x[row], weight, null).equal(together[row]).all().item<bool>(), $"row {row}");
        }
    }

    [TestMethod]
    [DoNotParallelize]
    public void TheBitsDoNotDependOnTheThreads()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor x = randn(5, 576), weight = randn(1536, 576), alone = FewRowsProduct.Compute(x, weight, null);
        int threads = get_num_threads();
        set_num_threads(4);
        try
        {
            for (int run = 0; run < 200; run++)
            {
                using Tensor together = FewRowsProduct.Compute(x, weight, null);
                Assert.IsTrue(together.equal(alone).all().item<bool>());
            }
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    /// <summary>Rows that are many tokens of one text may be computed again for a gradient, where there are gradients.</summary>
    [TestMethod]
    public void ItIsNotForTexts()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor weight = zeros(6, 4);

        Assert.IsFalse(FewRowsProduct.Fits(zeros(1, 5, 4), weight));
        Assert.IsTrue(FewRowsProduct.Fits(zeros(5, 1, 4), weight));
        Assert.IsFalse(FewRowsProduct.Fits(zeros(2, 8), weight));
        Assert.IsFalse(FewRowsProduct.Fits(zeros(2, 0), zeros(6, 0)));
    }

    [TestMethod]
    public void ItIsForFewRowsWithoutGradientsOnTheCpu()
    {
        using var scope = NewDisposeScope();
        Tensor weight = zeros(6, 4), few = zeros(16, 4), many = zeros(17, 4);
        Assert.IsFalse(FewRowsProduct.Fits(few, weight));
        using var noGrad = no_grad();

        Assert.IsTrue(FewRowsProduct.Fits(few, weight));
        Assert.IsFalse(FewRowsProduct.Fits(many, weight));
        Assert.IsFalse(FewRowsProduct.Fits(few, zeros(4, 6).t()));
        Assert.IsFalse(FewRowsProduct.Fits(few, weight.to(ScalarType.BFloat16)));
        Assert.IsFalse(FewRowsProduct.Fits(few.to(ScalarType.BFloat16), weight.to(ScalarType.BFloat16)));
        Assert.IsTrue(FewRowsProduct.Fits(zeros(8, 4, ScalarType.BFloat16), weight.to(ScalarType.BFloat16)));
        Assert.IsFalse(FewRowsProduct.Fits(zeros(8, 4, ScalarType.Float16), weight.to(ScalarType.Float16)));
    }

    [TestMethod]
    [DoNotParallelize]
    public void NoTensorIsLeft()
    {
        using var noGrad = no_grad();
        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            using Tensor x = zeros(3, 4, type), weight = zeros(6, 4, type), bias = zeros(6, type);

            // What earlier tests left to the collector would lower the count when it is collected.
            GC.Collect();
            GC.WaitForPendingFinalizers();
            long before = Tensor.TotalCount;
            FewRowsProduct.Compute(x, weight, bias).Dispose();
            Assert.AreEqual(before, Tensor.TotalCount);
        }
    }
}
