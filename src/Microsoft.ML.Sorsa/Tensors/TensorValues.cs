using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>Questions about the values of tensors.</summary>
internal static class TensorValues
{
    /// <summary>Some numbers, tensors of one value each on one device, which is waited for once.</summary>
    public static double[] Read(params ReadOnlySpan<Tensor> numbers)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var wide = new Tensor[numbers.Length];
        for (int i = 0; i < wide.Length; i++)
        {
            wide[i] = numbers[i].to(ScalarType.Float64);
        }

        return stack(wide).cpu().data<double>().ToArray();
    }

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
