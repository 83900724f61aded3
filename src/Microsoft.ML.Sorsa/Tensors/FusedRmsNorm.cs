using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// y = w ⊙ x / √(mean(x²) + ε) in one operation of libtorch's, which a GPU has a kernel for, and one for its gradient; TorchSharp reaches
/// it through TorchScript alone. On a CPU libtorch makes it of the same operations as whoever writes the formula down, behind the script's
/// own cost.
/// </summary>
internal static class FusedRmsNorm
{
    private const string Program = """
        def normalize(x: Tensor, weight: Tensor, epsilon: float):
            return torch.rms_norm(x, [weight.size(0)], weight, epsilon)

        """;

    private static readonly TensorScript s_script = new(Program);

    /// <summary>Whether it is worth it: libtorch has no kernel for a weight of another type.</summary>
    public static bool Fits(Tensor x, Tensor weight) => x.device_type != DeviceType.CPU && x.dtype == weight.dtype;

    /// <summary>y [..., hidden]; half precision is normalised in float32. It belongs to the dispose scope that is open.</summary>
    /// <param name="x">[..., hidden].</param>
    /// <param name="weight">w [hidden].</param>
    /// <param name="epsilon">ε.</param>
    public static Tensor Compute(Tensor x, Tensor weight, double epsilon)
    {
        using Scalar scalar = epsilon;
        return s_script.Call("normalize", x, weight, scalar);
    }
}
