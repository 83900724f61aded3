using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>
/// The loss that is computed here, and its gradient, are libtorch's in float64 within the rounding of their type; a row is what it is
/// alone.
/// </summary>
[TestClass]
[TestCategory("Training")]
[TestCategory("Foreach")]
public sealed class CrossEntropyTests
{
    /// <summary>Vocabularies on both sides of a processor's vectors and of what is summed at a time, and rows of several parts.</summary>
    public static IEnumerable<object[]> Shapes =>
        from type in new[] { ScalarType.Float32, ScalarType.BFloat16 }
        from rows in new long[] { 1, 40 }
        from size in new long[] { 1, 7, 40, 1024, 3000 }
        select new object[] { type, rows, size };

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void ItIsItsFormulaAndSoIsItsGradient(ScalarType type, long rows, long size)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor scores = (randn([rows, size], generator: generator) * 8).to(type);
        Tensor targets = randint(0, size, [rows], ScalarType.Int64, generator: generator);
        Tensor gradient = randn([rows], generator: generator);
        Assert.IsTrue(CrossEntropyRows.Fits(scores, targets));

        (Tensor losses, Tensor ds) = Results(type, CrossEntropyFunction.Apply);
        (Tensor exactLosses, Tensor exactDs) = Results(
            ScalarType.Float64, (scores, targets) => nn.functional.cross_entropy(scores, targets, reduction: nn.Reduction.None));

        // The largest score, the target's and the sum's logarithm are rounded to 24 bits; so is a probability, by what it comes from.
        Tensor sizes = scores.abs().amax([1L]).to(ScalarType.Float64) + 10;
        Assert.AreEqual(ScalarType.Float32, losses.dtype);
        TensorAssert.IsWithin(losses, exactLosses, sizes * Math.ScaleB(1, -23));
        Assert.AreEqual(type, ds.dtype);
        double unit = type == ScalarType.Float32 ? 0 : 1.01 / 256;
        TensorAssert.IsWithin(ds, exactDs, (exactDs.abs() * unit) + (gradient.abs() * sizes).unsqueeze(1) * Math.ScaleB(1, -23));

        (Tensor, Tensor) Results(ScalarType as_, Func<Tensor, Tensor, Tensor> compute)
        {
            using var pass = new BackwardPass();
            Tensor leaf = scores.to(as_, copy: true).requires_grad_(), losses = compute(leaf, targets);
            pass.Run(losses, gradient.to(losses.dtype));
            return (losses.detach(), leaf.grad!);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void ARowIsWhatItIsAlone(ScalarType type, long rows, long size)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(2);
        Tensor scores = (randn([rows, size], generator: generator) * 8).to(type);
        Tensor targets = randint(0, size, [rows], ScalarType.Int64, generator: generator), gradient = randn([rows], generator: generator);

        (Tensor losses, Tensor sums) = CrossEntropyRows.Forward(scores, targets);
        Tensor ds = CrossEntropyRows.Backward(gradient, scores, targets, sums);

        for (long row = 0; row < rows; row++)
        {
            (Tensor loss, Tensor sum) = CrossEntropyRows.Forward(One(scores), One(targets));
            Assert.IsTrue(loss.equal(One(losses)).all().item<bool>(), $"row {row}");
            Assert.IsTrue(
                CrossEntropyRows.Backward(One(gradient), One(scores), One(targets), sum).equal(One(ds)).all().item<bool>(), $"row {row}");

            Tensor One(Tensor all) => all.narrow(0, row, 1);
        }
    }

    /// <summary>Scores far apart, far from zero, of nothing but one number, and what is no number.</summary>
    [TestMethod]
    public void ScoresMayBeLargeAndInfinite()
    {
        using var scope = NewDisposeScope();
        Assert.AreEqual(2e8f, Loss(0, -1e8f, 1e8f));
        Assert.AreEqual(0, Loss(1, -1e8f, 1e8f));
        Assert.AreEqual(0, Loss(0, 1e30f, 1, float.NegativeInfinity));
        Assert.AreEqual(float.PositiveInfinity, Loss(2, 1e30f, 1, float.NegativeInfinity));
        Assert.AreEqual(Math.Log(3), Loss(1, -500, -500, -500), 1e-6);
        Assert.AreEqual(float.NaN, Loss(0, 1, float.NaN, 2));
        Assert.AreEqual(float.NaN, Loss(0, 1, float.PositiveInfinity, 2));

        // Beyond what vectors hold, too.
        Assert.AreEqual(float.NaN, Loss(0, [.. new float[70], float.NaN]));
        Assert.AreEqual(float.NaN, Loss(0, [float.NaN, .. new float[70]]));

        static float Loss(long target, params float[] scores) =>
            CrossEntropyFunction.Apply(tensor(scores).unsqueeze(0), tensor(new[] { target })).item<float>();
    }

    /// <summary>As that of a sum does, which is one number for all; and there may be no rows.</summary>
    [TestMethod]
    public void WhatComesBackMayLieAnyhow()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor scores = randn([3, 50], generator: generator), targets = randint(0, 50, [3], ScalarType.Int64, generator: generator);
        (_, Tensor sums) = CrossEntropyRows.Forward(scores, targets);
        foreach (Tensor gradient in new[] { ones([]).expand(3), randn([6], generator: generator).view(3, 2).select(1, 0), zeros(3) })
        {
            using var pass = new BackwardPass();
            Tensor leaf = scores.detach().clone().requires_grad_();
            pass.Run(CrossEntropyFunction.Apply(leaf, targets), gradient);
            Assert.IsTrue(leaf.grad!.equal(CrossEntropyRows.Backward(gradient.contiguous(), scores, targets, sums)).all().item<bool>());
        }

        Assert.AreEqual(0, CrossEntropyFunction.Apply(zeros(0, 50), zeros(0, ScalarType.Int64)).numel());
    }

    /// <summary>It would be read from memory that belongs to others.</summary>
    [TestMethod]
    [DataRow(-1)]
    [DataRow(-100)]
    [DataRow(5)]
    public void ATargetThatHasNoScoreIsRefused(long target)
    {
        using var scope = NewDisposeScope();
        foreach (bool hasGradient in new[] { false, true })
        {
            Tensor scores = zeros(2, 5, requires_grad: hasGradient), targets = tensor(new[] { 4, target });
            ArgumentOutOfRangeException error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                () => CrossEntropyFunction.Apply(scores, targets));
            Assert.Contains("There are scores for 5 tokens", error.Message);
            Assert.AreEqual(target, error.ActualValue);
        }
    }

    [TestMethod]
    public void OnlyWhatFitsIsReadHere()
    {
        using var scope = NewDisposeScope();
        Tensor targets = zeros(2, ScalarType.Int64);
        Assert.IsTrue(CrossEntropyRows.Fits(zeros(2, 5), targets));
        Assert.IsTrue(CrossEntropyRows.Fits(zeros(2, 5, ScalarType.BFloat16), targets));
        Assert.IsFalse(CrossEntropyRows.Fits(zeros(2, 5, ScalarType.Float16), targets));
        Assert.IsFalse(CrossEntropyRows.Fits(zeros(2, 5, ScalarType.Float64), targets));
        Assert.IsFalse(CrossEntropyRows.Fits(zeros(5, 2).t(), targets));
        Assert.IsFalse(CrossEntropyRows.Fits(zeros(3, 5), targets));
        Assert.IsFalse(CrossEntropyRows.Fits(zeros(2, 5), zeros(2, ScalarType.Int32)));
        Assert.IsFalse(CrossEntropyRows.Fits(zeros(2), targets));
        Assert.IsFalse(CrossEntropyRows.Fits(zeros(2, 0), targets));
    }

    [TestMethod]
    [DoNotParallelize]
    public void NoTensorIsLeft()
    {
        using Tensor scores = ones([2, 4], requires_grad: true), targets = zeros(2, ScalarType.Int64), gradient = ones(2);

        // What earlier tests left to the collector would lower the count when it is collected.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;

        using (NewDisposeScope())
        using (var pass = new BackwardPass())
        {
            pass.Run(CrossEntropyFunction.Apply(scores, targets), gradient);
            scores.grad!.Dispose();
            scores.grad = null;
        }

        using (no_grad())
        {
            CrossEntropyFunction.Apply(scores, targets).Dispose();
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }
}
