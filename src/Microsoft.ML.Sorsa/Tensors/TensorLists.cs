using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Arithmetic over many tensors in one call: what is done to the hundreds of gradients of a step one after the other takes longer to start
/// than to compute, on a GPU above all. They are libtorch's own _foreach_ operations, which TorchSharp reaches through TorchScript alone.
/// The tensors of a list are of one type and on one device.
/// </summary>
internal static class TensorLists
{
    private const string Program = """
        def norms(tensors: List[Tensor]):
            return torch.stack(torch._foreach_norm(tensors))

        def scale(tensors: List[Tensor], factor: float):
            torch._foreach_mul_(tensors, factor)
            return tensors[0]

        def accumulate(sums: List[Tensor], summands: Tensor):
            torch._foreach_add_(sums, torch.unbind(summands))
            return sums[0]

        """;

    private static readonly TensorScript s_script = new(Program);

    /// <summary>‖t‖ of each, as one tensor [count]; belongs to the dispose scope that is open.</summary>
    public static Tensor Norms(Tensor[] tensors) => s_script.Call("norms", [tensors]);

    /// <summary>Multiplies each in place.</summary>
    public static void Scale(Tensor[] tensors, double factor)
    {
        using Scalar scalar = factor;
        s_script.Call("scale", tensors, scalar).Dispose();
    }

    /// <summary>Adds to each, in place, its part of a stack [count, ...].</summary>
    public static void Accumulate(Tensor[] sums, Tensor summands) =>
        s_script.Call("accumulate", sums, summands).Dispose();
}
