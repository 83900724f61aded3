using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>
/// The norm that is computed here is the formula, in float64 and differentiated by libtorch, within the rounding of its type; a row is
/// what it is alone.
/// </summary>
[TestClass]
[TestCategory("Foreach")]
public sealed class RmsNormTests
{
    private const double Epsilon = 1e-5;

    /// <summary>Widths on both sides of a processor's vectors, and rows of several parts.</summary>
    public static IEnumerable<object[]> Shapes =>
        from type in new[] { ScalarType.Float32, ScalarType.BFloat16 }
        from rows in new long[] { 1, 3, 100 }
        from width in new long[] { 1, 20, 64, 578 }
        select new object[] { type, rows, width };

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void ItIsItsFormulaAndSoAreItsGradients(ScalarType type, long rows, long width)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor x = (randn([rows, 2, width], generator: generator) * 30).to(type), w = randn([width], generator: generator).to(type);
        Tensor dy = randn([rows, 2, width], generator: generator).to(type);
        Assert.IsTrue(RmsNormRows.Fits(x, w));

        Tensor[] ours = Gradients(type, (x, w) => RmsNormFunction.Apply(x, w, Epsilon));
        Tensor[] expected = Gradients(
            ScalarType.Float64, (x, w) => x * (x.square().mean([-1], keepdim: true) + Epsilon).rsqrt() * w);

        // A dozen roundings of 24 bits, and in bfloat16 two of 8; the weight's gradient is a sum over rows.
        double unit = type == ScalarType.Float32 ? 1e-6 : 2.02 / 256;
        Tensor root = (x.to(ScalarType.Float64).square().mean([-1], keepdim: true) + Epsilon).rsqrt();
        Tensor g = (dy.to(ScalarType.Float64) * w.to(ScalarType.Float64)).abs();
        TensorAssert.IsWithin(ours[0], expected[0], expected[0].abs() * unit);
        TensorAssert.IsWithin(ours[1], expected[1], (root * (g + g.mean([-1], keepdim: true))).amax([-1L], keepdim: true) * 4 * unit);
        TensorAssert.IsWithin(ours[2], expected[2], dy.to(ScalarType.Float64).abs().sum([0L, 1L]) * Math.Sqrt(width) * unit);

        Tensor[] Gradients(ScalarType as_, Func<Tensor, Tensor, Tensor> compute)
        {
            Tensor[] inputs = [.. new[] { x, w }.Select(tensor => tensor.to(as_, copy: true).requires_grad_())];
            using var pass = new BackwardPass();
            Tensor y = compute(inputs[0], inputs[1]);
            pass.Run(y, dy.to(as_));
            return [y.detach(), inputs[0].grad!, inputs[1].grad!];
        }
    }

    /// <summary>What is normalised is rounded before it is scaled, as Hugging Face's models do in bfloat16.</summary>
    [TestMethod]
    public void InBFloat16ItRoundsTwice()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(4);
        Tensor x = randn([50, 64], generator: generator).to(ScalarType.BFloat16);
        Tensor w = randn([64], generator: generator).to(ScalarType.BFloat16);
        Tensor exact = x.to(ScalarType.Float64);
        Tensor normed = (exact * (exact.square().mean([-1], keepdim: true) + Epsilon).rsqrt()).to(ScalarType.Float32);

        // The nearest of both, except for what lies so near the middle between two numbers that float32 sees it on the other side.
        Tensor differ = RmsNormRows.Forward(x, w, Epsilon).not_equal(normed.to(ScalarType.BFloat16) * w);

        Assert.IsLessThanOrEqualTo(2, differ.sum().item<long>());
    }

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void ARowIsWhatItIsAlone(ScalarType type, long rows, long width)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(2);
        Tensor x = (randn([rows, width], generator: generator) * 30).to(type), w = randn([width], generator: generator).to(type);
        Tensor dy = randn([rows, width], generator: generator).to(type);

        Tensor y = RmsNormRows.Forward(x, w, Epsilon), dx = RmsNormRows.Backward(dy, x, w, Epsilon);

        for (long row = 0; row < rows; row++)
        {
            Assert.IsTrue(RmsNormRows.Forward(x[row], w, Epsilon).equal(y[row]).all().item<bool>(), $"row {row}");
            Assert.IsTrue(RmsNormRows.Backward(dy[row], x[row], w, Epsilon).equal(dx[row]).all().item<bool>(), $"row {row}");
        }
    }

    /// <summary>And what comes back may lie anyhow.</summary>
    [TestMethod]
    public void EitherMayTrainAlone()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor x = randn([5, 8], generator: generator), w = randn([8], generator: generator), dy = randn([8, 5], generator: generator).t();
        using var pass = new BackwardPass();
        Tensor input = x.detach().clone().requires_grad_(), weight = w.detach().clone().requires_grad_();

        pass.Run(RmsNormFunction.Apply(input, w, Epsilon), dy);
        pass.Run(RmsNormFunction.Apply(x, weight, Epsilon), dy);

        Assert.IsTrue(input.grad!.equal(RmsNormRows.Backward(dy.contiguous(), x, w, Epsilon)).all().item<bool>());
        Assert.IsTrue(weight.grad!.equal((dy * RmsNormRows.Forward(x, null, Epsilon)).sum(dim: 0)).all().item<bool>());
        Assert.IsFalse(RmsNormFunction.Apply(x, w, Epsilon).requires_grad);
    }

    [TestMethod]
    public void OtherTypesAreLibtorchs()
    {
        using var scope = NewDisposeScope();
        Assert.IsTrue(RmsNormRows.Fits(zeros(2, 4), zeros(4)));
        Assert.IsTrue(RmsNormRows.Fits(zeros(2, 4, ScalarType.BFloat16), zeros(4, ScalarType.BFloat16)));
        Assert.IsFalse(RmsNormRows.Fits(zeros(2, 4), zeros(4, ScalarType.BFloat16)));
        Assert.IsFalse(RmsNormRows.Fits(zeros(2, 4, ScalarType.BFloat16), zeros(4)));
        Assert.IsFalse(RmsNormRows.Fits(zeros(2, 4, ScalarType.Float64), zeros(4, ScalarType.Float64)));
        Assert.IsFalse(RmsNormRows.Fits(zeros(2, 4, ScalarType.Float16), zeros(4, ScalarType.Float16)));
        Assert.IsFalse(RmsNormRows.Fits(zeros(4, 2).t(), zeros(4)));
        Assert.IsFalse(RmsNormRows.Fits(zeros(2, 4), zeros(2)));
        Assert.IsFalse(TensorData.IsReadable(ScalarType.Float32, onCpu: false));
    }

    [TestMethod]
    [DataRow(ScalarType.Float32)]
    [DataRow(ScalarType.BFloat16)]
    [DoNotParallelize]
    public void NoTensorIsLeft(ScalarType type)
    {
        using Tensor x = ones([2, 4], type, requires_grad: true), w = ones(4, type), dy = ones(2, 4, type);

        // What earlier tests left to the collector would lower the count when it is collected.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;

        using (NewDisposeScope())
        using (var pass = new BackwardPass())
        {
            pass.Run(RmsNormFunction.Apply(x, w, Epsilon), dy);
            x.grad!.Dispose();
            x.grad = null;
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }
}
