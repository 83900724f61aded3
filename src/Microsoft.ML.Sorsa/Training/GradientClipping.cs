using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// Clipping by the global norm, as nn.utils.clip_grad_norm_, but in two calls: that one multiplies every gradient by a norm that is not
/// finite, and then nobody can say which of them was at fault.
/// </summary>
internal static class GradientClipping
{
    /// <summary>‖g‖ over all gradients that are set.</summary>
    public static double Norm(IEnumerable<Parameter> parameters)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor[] norms = [.. parameters.Select(parameter => parameter.grad).OfType<Tensor>().Select(gradient => gradient.norm())];
        return stack(norms).norm().to(ScalarType.Float64).item<double>();
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
        foreach (Tensor gradient in parameters.Select(parameter => parameter.grad).OfType<Tensor>())
        {
            gradient.Scale(factor);
        }
    }
}
