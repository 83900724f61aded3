using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>
/// The rotary turn that is computed here is the formula, in float64 and differentiated by libtorch, within the rounding of its type; a
/// token is what it is alone.
/// </summary>
[TestClass]
[TestCategory("Foreach")]
public sealed class RotationTests
{
    private const int Heads = 3;

    private static readonly bool[] s_alike = [true, false];

    /// <summary>Halves of a head on both sides of a processor's vectors; angles of each text, and the same for all.</summary>
    public static IEnumerable<object[]> Shapes =>
        from type in new[] { ScalarType.Float32, ScalarType.BFloat16 }
        from batch in new long[] { 1, 3 }
        from tokens in new long[] { 1, 40 }
        from width in new long[] { 2, 20, 64, 130 }
        from alike in s_alike
        select new object[] { type, batch, tokens, width, alike };

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void PairsAreTurnedAndHeadsComeFirst(ScalarType type, long batch, long tokens, long width, bool alike)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor x = randn([batch, tokens, Heads, width], generator: generator).to(type);
        (Tensor cos, Tensor sin) = Angles(type, alike ? 1 : batch, tokens, width, generator);
        Tensor dy = randn([batch, Heads, tokens, width], generator: generator).to(type);
        Assert.IsTrue(RotationRows.Fits(x, (cos, sin)));

        (Tensor y, Tensor dx) = Results(type, x => RotationFunction.Apply(x, cos, sin));
        (Tensor exactY, Tensor exactDx) = Results(ScalarType.Float64, x => Turned(x, Exact(cos), Exact(sin)));

        // Each is a sum of two products; in bfloat16 one of them and the sum are rounded, in float32 both and the sum.
        double unit = type == ScalarType.Float32 ? 3 * Math.ScaleB(1, -24) : 2.02 / 256;
        (Tensor sizes, Tensor gradientSizes) = Results(
            ScalarType.Float64, x => Turned(x, Exact(cos).abs(), Exact(sin).abs()), tensor => tensor.abs());
        TensorAssert.IsWithin(y, exactY, sizes * unit);
        TensorAssert.IsWithin(dx, exactDx, gradientSizes * unit);

        (Tensor Y, Tensor Dx) Results(ScalarType as_, Func<Tensor, Tensor> compute, Func<Tensor, Tensor>? of = null)
        {
            using var pass = new BackwardPass();
            Tensor leaf = (of ?? (tensor => tensor))(x.to(as_, copy: true)).requires_grad_();
            Tensor output = compute(leaf);
            pass.Run(output, (of ?? (tensor => tensor))(dy.to(as_)));
            return (output.detach(), leaf.grad!);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void ATokenIsWhatItIsAlone(ScalarType type, long batch, long tokens, long width, bool alike)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(2);
        Tensor x = randn([batch, tokens, Heads, width], generator: generator).to(type);
        (Tensor cos, Tensor sin) = Angles(type, alike ? 1 : batch, tokens, width, generator);

        Tensor y = RotationRows.Forward(x, cos, sin);

        for (long row = 0; row < batch; row++)
        {
            for (long token = 0; token < tokens; token++)
            {
                Tensor alone = RotationRows.Forward(One(x, row), One(cos, alike ? 0 : row), One(sin, alike ? 0 : row));
                Assert.IsTrue(alone.equal(y.narrow(0, row, 1).narrow(2, token, 1)).all().item<bool>(), $"row {row}, token {token}");

                Tensor One(Tensor tensor, long at) => tensor.narrow(0, at, 1).narrow(1, token, 1).contiguous();
            }
        }
    }

    [TestMethod]
    public void WhatComesBackMayLieAnyhow()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor x = randn([2, 5, Heads, 8], generator: generator);
        (Tensor cos, Tensor sin) = Angles(ScalarType.Float32, 1, 5, 8, generator);
        foreach (Tensor dy in new[] { randn([2, 5, 8, Heads], generator: generator).permute(0, 3, 1, 2), ones([]).expand(2, Heads, 5, 8) })
        {
            using var pass = new BackwardPass();
            Tensor leaf = x.detach().clone().requires_grad_();
            pass.Run(RotationFunction.Apply(leaf, cos, sin), dy);
            Assert.IsTrue(leaf.grad!.equal(RotationRows.Backward(dy.contiguous(), cos, sin)).all().item<bool>());
        }
    }

    [TestMethod]
    public void OnlyWhatFitsIsReadHere()
    {
        using var scope = NewDisposeScope();
        Tensor x = zeros(2, 5, 3, 4);
        Assert.IsTrue(Fits(x, 1, 5, 4));
        Assert.IsTrue(Fits(x, 2, 5, 4));
        Assert.IsFalse(Fits(x, 3, 5, 4));
        Assert.IsFalse(Fits(x, 1, 4, 4));
        Assert.IsFalse(Fits(x, 1, 5, 2));
        Assert.IsFalse(Fits(x.to(ScalarType.BFloat16), 1, 5, 4));
        Assert.IsFalse(Fits(x.transpose(1, 2), 1, 3, 4));
        Assert.IsFalse(Fits(zeros(2, 5, 3, 3), 1, 5, 3));
        Assert.IsFalse(RotationRows.Fits(x, (zeros(1, 5, 1, 4), zeros(2, 5, 1, 4))));

        static bool Fits(Tensor x, long batch, long tokens, long width) =>
            RotationRows.Fits(x, (zeros(batch, tokens, 1, width), zeros(batch, tokens, 1, width)));
    }

    [TestMethod]
    [DoNotParallelize]
    public void NoTensorIsLeft()
    {
        using Tensor x = ones([1, 2, 1, 4], requires_grad: true), angle = ones(1, 2, 1, 4), dy = ones(1, 1, 2, 4);

        // What earlier tests left to the collector would lower the count when it is collected.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;

        using (NewDisposeScope())
        using (var pass = new BackwardPass())
        {
            pass.Run(RotationFunction.Apply(x, angle, angle), dy);
            x.grad!.Dispose();
            x.grad = null;
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    private static (Tensor Cos, Tensor Sin) Angles(ScalarType type, long batch, long tokens, long width, Generator generator)
    {
        Tensor angles = randn([batch, tokens, 1, width / 2], generator: generator) * 3;
        return (cat([angles.cos(), angles.cos()], -1).to(type), cat([-angles.sin(), angles.sin()], -1).to(type));
    }

    private static Tensor Turned(Tensor x, Tensor cos, Tensor sin) => ((x * cos) + (x.roll(x.shape[^1] / 2, -1) * sin)).transpose(1, 2);

    private static Tensor Exact(Tensor tensor) => tensor.to(ScalarType.Float64);
}
