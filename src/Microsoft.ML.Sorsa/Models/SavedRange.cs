using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// Whether weights fit the type that they will be saved in. Asked before a training: what a model starts with is known, and a weight that
/// is too large for float16 then does not become small in a training.
/// </summary>
internal static class SavedRange
{
    /// <exception cref="ArithmeticException">A value is not finite, or not in that type; names the weight.</exception>
    public static void Verify(string name, Tensor weight, ScalarType type)
    {
        if (weight.numel() == 0)
        {
            return;
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (Tensor least, Tensor most) = weight.detach().aminmax();
        Tensor ends = stack([least, most]);
        if (!TensorValues.AreFinite(ends))
        {
            throw new ArithmeticException(
                $"The weight '{name}' holds values that are not finite. Where they come from the model's files: fetch these again.");
        }

        if (!TensorValues.AreFinite(ends.to(type)))
        {
            double largest = ends.abs().max().to(ScalarType.Float64).item<double>();
            throw new ArithmeticException(FormattableString.Invariant(
                $"The weight '{name}' holds values that {type} cannot: up to {largest:G4} in size. ")
                + "Choose Float32 or BFloat16 as SavedType.");
        }
    }
}
