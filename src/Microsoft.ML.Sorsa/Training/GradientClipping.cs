using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// Clipping by the global norm, as nn.utils.clip_grad_norm_, but in two calls: that one multiplies every gradient by a norm that is not
/// finite, and then nobody can say which of them was at fault.
/// </summary>
internal static class GradientClipping
{
    /// <summary>‖g‖ over all gradients that are set, on their device; belongs to the dispose scope that is open.</summary>
    public static Tensor Norm(IEnumerable<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return scope.MoveToOuter(cat([.. ByType(parameters).Select(TensorLists.Norms)]).norm());
    }

    /// <summary>g ← g · min(1, limit / (norm + 1e-6)).</summary>
    public static void Clip(IEnumerable<Parameter> parameters, double norm, double limit)
    {
        double factor = limit / (norm + 1e-6);
        if (factor >= 1)
        {
            return;
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach (Tensor[] gradients in ByType(parameters))
        {
            TensorLists.Scale(gradients, factor);
        }
    }

    /// <summary>The gradients that are set: where everything trains, norms may train in another type than projections.</summary>
    private static IEnumerable<Tensor[]> ByType(IEnumerable<Parameter> parameters) =>
        from gradient in parameters.Select(parameter => parameter.grad).OfType<Tensor>()
        group gradient by gradient.dtype into alike
        select alike.ToArray();
}
