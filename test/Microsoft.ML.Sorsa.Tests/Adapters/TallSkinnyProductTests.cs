using System.Runtime.Intrinsics.X86;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

[TestClass]
[TestCategory("Foreach")]
public sealed class TallSkinnyProductTests
{
    /// <summary>
    /// Rows on both sides of a tile's, columns of one tile and of several stripes, and sums that are no whole block, of a product with a
    /// rank on either side.
    /// </summary>
    public static IEnumerable<object[]> Shapes =>
        from rows in new long[] { 1, 7, 8, 16, 61 }
        from depth in new long[] { 1, 255, 600 }
        from columns in new long[] { 16, 64, 528 }
        select new object[] { rows, depth, columns };

    /// <summary>To the bit, so that neither vectors, blocks nor stripes can be seen.</summary>
    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void EachValueIsASumInOrderRoundedOnceAProduct(long rows, long depth, long columns)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(8);
        Tensor left = randn([rows, depth], generator: generator), right = randn([depth, columns], generator: generator);

        Tensor product = TallSkinnyProduct.Compute(left, right);

        float[] a = [.. left.data<float>()], b = [.. right.data<float>()], c = [.. product.data<float>()];
        for (long row = 0; row < rows; row++)
        {
            for (long column = 0; column < columns; column++)
            {
                float sum = 0;
                for (long k = 0; k < depth; k++)
                {
                    sum = MathF.FusedMultiplyAdd(a[(row * depth) + k], b[(k * columns) + column], sum);
                }

                Assert.AreEqual(sum, c[(row * columns) + column], $"row {row}, column {column}");
            }
        }
    }

    /// <summary>What is transposed, or a part of a larger tensor, has the same values.</summary>
    [TestMethod]
    public void FactorsMayLieAnyhow()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(9);
        Tensor left = randn([40, 70], generator: generator), right = randn([70, 32], generator: generator);
        Tensor expected = TallSkinnyProduct.Compute(left, right);
        Tensor padded = zeros(70, 40), around = zeros(72, 48);
        around.narrow(0, 1, 70).narrow(1, 16, 32).copy_(right);

        Tensor[] same =
        [
            TallSkinnyProduct.Compute(left.t().contiguous().t(), right),
            TallSkinnyProduct.Compute(left, right.t().contiguous().t()),
            TallSkinnyProduct.Compute(left, around.narrow(0, 1, 70).narrow(1, 16, 32)),
            TallSkinnyProduct.Compute(padded.copy_(left.t()).t(), around.narrow(0, 1, 70).narrow(1, 16, 32)),
        ];

        foreach (Tensor product in same)
        {
            Assert.IsTrue(product.equal(expected).all().item<bool>());
        }
    }

    [TestMethod]
    [DoNotParallelize]
    public void TheBitsDoNotDependOnTheThreads()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor x = randn(300, 576), p = randn(300, 16);
        Tensor a = randn(16, 576), tall = TallSkinnyProduct.Compute(x, a.t()), wide = TallSkinnyProduct.Compute(p.t(), x);
        int threads = get_num_threads();
        set_num_threads(4);
        try
        {
            for (int run = 0; run < 100; run++)
            {
                using Tensor first = TallSkinnyProduct.Compute(x, a.t()), second = TallSkinnyProduct.Compute(p.t(), x);
                Assert.IsTrue(first.equal(tall).all().item<bool>() && second.equal(wide).all().item<bool>());
            }
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [TestMethod]
    public void SumsOfNothingAreZero()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();

        Tensor product = TallSkinnyProduct.Compute(zeros(9, 0), zeros(0, 32));

        CollectionAssert.AreEqual(new long[] { 9, 32 }, product.shape);
        Assert.AreEqual(0, product.count_nonzero().item<long>());
        CollectionAssert.AreEqual(new long[] { 0, 16 }, TallSkinnyProduct.Compute(zeros(0, 32), zeros(32, 16)).shape);
    }

    /// <summary>It reads memory itself: what does not belong together must not get there.</summary>
    [TestMethod]
    public void WhatDoesNotBelongTogetherIsRefused()
    {
        using var scope = NewDisposeScope();
        Assert.ThrowsExactly<ArgumentException>(() => TallSkinnyProduct.Compute(zeros(4, 100), zeros(64, 16)));
        Assert.ThrowsExactly<ArgumentException>(() => TallSkinnyProduct.Compute(zeros(4, 64), zeros(64, 8)));
        Assert.ThrowsExactly<ArgumentException>(() => TallSkinnyProduct.Compute(zeros(4, 64), zeros(64, 16, ScalarType.Float64)));
        Assert.ThrowsExactly<ArgumentException>(() => TallSkinnyProduct.Compute(zeros([4, 64], device: "meta"), zeros(64, 16)));
        using var noGrad = no_grad();
        Assert.ThrowsExactly<System.Runtime.InteropServices.ExternalException>(
            () => LowRankFunction.Apply(zeros(20, 100), new PlainWeight(zeros(32, 64)), null, zeros(32, 16), zeros(16, 64)));
    }

    /// <summary>Where nobody opened a pass gradients are libtorch's, which may be differentiated again.</summary>
    [TestMethod]
    public void OutsideOfAPassGradientsHaveGradients()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(11);
        Tensor x = randn([20, 48], generator: generator).requires_grad_(), b = randn([80, 16], generator: generator).requires_grad_();
        Tensor a = randn([16, 48], generator: generator).requires_grad_();

        Tensor y = LowRankFunction.Apply(x, new PlainWeight(zeros(80, 48)), null, b, a);
        Tensor dx = autograd.grad([y.square().sum()], [x], retain_graph: true, create_graph: true)[0];
        dx.square().sum().backward();

        Assert.IsGreaterThan(0, a.grad!.abs().sum().item<float>());
    }

    [TestMethod]
    public void ItIsForLowRanksInFloat32()
    {
        using var scope = NewDisposeScope();
        if (!Fma.IsSupported)
        {
            Assert.IsFalse(TallSkinnyProduct.Fits(zeros(1), 16, 48, 80));
            Assert.Inconclusive("This processor has no fused multiply-add: libtorch's product is used.");
        }

        Assert.IsTrue(TallSkinnyProduct.Fits(zeros(1), 16, 48, 80));
        Assert.IsTrue(TallSkinnyProduct.Fits(zeros(1), 16, 16, 32));
        Assert.IsTrue(TallSkinnyProduct.Fits(zeros(1), 64, 4096, 1024));
        Assert.IsFalse(TallSkinnyProduct.Fits(zeros(1), 128, 4096, 4096));
        Assert.IsFalse(TallSkinnyProduct.Fits(zeros(1), 8, 48, 80));
        Assert.IsFalse(TallSkinnyProduct.Fits(zeros(1), 16, 40, 80));
        Assert.IsFalse(TallSkinnyProduct.Fits(zeros(1), 16, 48, 72));
        Assert.IsFalse(TallSkinnyProduct.Fits(zeros(1, ScalarType.BFloat16), 16, 48, 80));
        Assert.IsFalse(TallSkinnyProduct.Fits(zeros(1, ScalarType.Float64), 16, 48, 80));
    }

    /// <summary>The gradients of an adapter that takes it, against libtorch's in float64.</summary>
    [TestMethod]
    [DataRow(16)]
    [DataRow(32)]
    public void AnAdaptersGradientsAreLibtorchs(long rank)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(10);
        Tensor x = randn([3, 50, 48], generator: generator), weight = randn([80, 48], generator: generator);
        Tensor b = randn([80, rank], generator: generator), a = randn([rank, 48], generator: generator);
        Tensor dy = randn([3, 50, 80], generator: generator);

        Tensor[] ours = Gradients(
            ScalarType.Float32, (input, b, a) => LowRankFunction.Apply(input, new PlainWeight(weight.alias()), null, b, a));
        Tensor[] expected = Gradients(
            ScalarType.Float64, (input, b, a) => input.matmul(weight.to(ScalarType.Float64).t()) + input.matmul(a.t()).matmul(b.t()));

        for (int i = 0; i < ours.Length; i++)
        {
            Tensor difference = (ours[i].to(ScalarType.Float64) - expected[i]).abs();
            Assert.IsTrue(difference.le(expected[i].abs().max() * 2e-6).all().item<bool>(), $"{i}: {difference.max().item<double>()}");
        }

        Tensor[] Gradients(ScalarType type, Func<Tensor, Tensor, Tensor, Tensor> compute)
        {
            Tensor[] inputs = [.. new[] { x, b, a }.Select(tensor => tensor.detach().to(type, copy: true).requires_grad_())];
            using var pass = new BackwardPass();
            Tensor y = compute(inputs[0], inputs[1], inputs[2]);
            pass.Run(y, dy.to(type));
            return [y.detach(), .. inputs.Select(input => input.grad!)];
        }
    }

    [TestMethod]
    [DoNotParallelize]
    public void NoTensorIsLeft()
    {
        using var noGrad = no_grad();
        using Tensor left = zeros(40, 24), right = zeros(24, 16);

        // What earlier tests left to the collector would lower the count when it is collected.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;

        TallSkinnyProduct.Compute(left, right).Dispose();
        using (NewDisposeScope())
        {
            TallSkinnyProduct.Compute(left.t(), zeros(16, 40).t());
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }
}
