using System.Numerics;
using Microsoft.ML.Sorsa.Tensors;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>e^x of float32 against that of float64.</summary>
[TestClass]
[TestCategory("Foreach")]
public sealed class ExponentialTests
{
    /// <summary>Two units of the last place, from the smallest normal number to the largest that it gives.</summary>
    [TestMethod]
    public void ItIsWithinTwoUnitsOfTheLastPlace()
    {
        for (float x = -87.33f; x < 88.37f; x += 0.00137f)
        {
            double expected = Math.Exp(x), unit = Math.ScaleB(1, Math.ILogB(expected) - 23);
            Assert.IsLessThanOrEqualTo(2, Math.Abs(Of(x) - expected) / unit, $"e^{x}");
        }
    }

    /// <summary>Softmax of what is hidden must be nothing at all, and what is no number stays none.</summary>
    [TestMethod]
    public void ItsEndsAreThoseOfSoftmax()
    {
        Assert.AreEqual(0, Of(float.NegativeInfinity));
        Assert.AreEqual(0, Of(-1000));
        Assert.AreEqual(0, Of(float.MinValue));
        Assert.AreEqual(1, Of(0));
        Assert.AreEqual(1, Of(-0f));
        Assert.AreEqual(float.NaN, Of(float.NaN));
        Assert.IsTrue(float.IsFinite(Of(88.37626f)));
        Assert.AreEqual(float.PositiveInfinity, Of(89));
        Assert.AreEqual(float.PositiveInfinity, Of(float.PositiveInfinity));
        Assert.AreEqual(float.PositiveInfinity, Of(float.MaxValue));
    }

    private static float Of(float x) => Exponential.Of(new Vector<float>(x))[Vector<float>.Count - 1];
}
