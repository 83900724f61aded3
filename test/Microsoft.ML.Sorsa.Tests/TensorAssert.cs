using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>What is asserted of every value of a tensor.</summary>
internal static class TensorAssert
{
    /// <summary>|actual − expected| is at most what is allowed for the value; what is no number is not.</summary>
    public static void IsWithin(Tensor actual, Tensor expected, Tensor allowed)
    {
        Tensor difference = (actual.to(ScalarType.Float64) - expected).abs();
        Assert.IsTrue(difference.le(allowed + 1e-12).all().item<bool>(), $"{difference.max().item<double>()}");
    }
}
