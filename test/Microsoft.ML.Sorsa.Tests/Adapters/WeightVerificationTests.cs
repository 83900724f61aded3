using Microsoft.ML.Sorsa.Adapters;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>What a merge refuses: weights that no training should end with.</summary>
[TestClass]
[TestCategory("Methods")]
public sealed class WeightVerificationTests
{
    [TestMethod]
    public void ARowThatBecameZeroIsSeen()
    {
        using var scope = NewDisposeScope();
        Tensor before = ones(4, 6), after = ones(4, 6);
        after[1] = zeros(6);
        after[3] = zeros(6);

        string message = Assert.ThrowsExactly<ArithmeticException>(
            () => WeightVerification.RequireAlive(after, () => before, "q_proj", "Do something.")).Message;

        Assert.AreEqual("2 of the 4 rows of the weight of 'q_proj' became zero. Do something.", message);
    }

    /// <summary>A base may have dead rows, or rows that are nothing but rounding, and small values are no zeros.</summary>
    [TestMethod]
    public void ARowThatWasZeroMayStaySo()
    {
        using var scope = NewDisposeScope();
        Tensor before = ones(4, 6), after = ones(4, 6);
        before[1] = zeros(6);
        before[2] = full(6, 1e-9);
        after[1] = zeros(6);
        after[2] = zeros(6);
        after[3] = full(6, 1e-30);

        WeightVerification.RequireAlive(after, () => before, "q_proj", "Do something.");
        WeightVerification.RequireAlive(ones(6), () => throw new InvalidOperationException("Not needed."), "norm", "Do something.");
        WeightVerification.RequireAlive(zeros(0), () => throw new InvalidOperationException("Not needed."), "none", "Do something.");
    }

    [TestMethod]
    public void AVectorThatBecameZeroIsSeen()
    {
        using var scope = NewDisposeScope();

        Assert.ThrowsExactly<ArithmeticException>(() => WeightVerification.RequireAlive(zeros(6), () => ones(6), "norm", "Do something."));
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    [DataRow(1e20f)]
    public void AWeightWhoseNormIsNotFiniteIsSeen(float value)
    {
        using var scope = NewDisposeScope();
        Tensor after = ones(4, 6);
        after[1, 2] = value;

        Assert.Contains("its norm is not finite. Do something.", Assert.ThrowsExactly<ArithmeticException>(
            () => WeightVerification.RequireAlive(after, () => ones(4, 6), "q_proj", "Do something.")).Message);
    }
}
