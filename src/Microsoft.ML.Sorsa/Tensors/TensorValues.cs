using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>Questions about all values of a tensor.</summary>
internal static class TensorValues
{
    /// <summary>Whether no value is infinite or none (NaN); so it is of no values, and of whole numbers.</summary>
    public static bool AreFinite(Tensor tensor)
    {
        if (!tensor.is_floating_point() || tensor.numel() == 0)
        {
            return true;
        }

        // Its two ends in one reading; isfinite would write four tensors of its size.
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (Tensor smallest, Tensor largest) = tensor.aminmax();
        return IsFinite(smallest) && IsFinite(largest);

        static bool IsFinite(Tensor end) => double.IsFinite(end.to(ScalarType.Float64).item<double>());
    }
}
