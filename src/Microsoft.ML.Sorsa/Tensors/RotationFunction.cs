using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>Rotary positions on a processor, with their gradient, which keeps nothing but the angles.</summary>
internal sealed class RotationFunction : GradientFunction<RotationFunction>
{
    /// <summary>y [B, heads, T, d], with a gradient where gradients are on. It belongs to the dispose scope that is open.</summary>
    /// <param name="x">[B, T, heads, d], with the angles one that <see cref="RotationRows"/> fits.</param>
    /// <param name="cos">[B or 1, T, 1, d].</param>
    /// <param name="sin">The same, its first half negative.</param>
    public static Tensor Apply(Tensor x, Tensor cos, Tensor sin) =>
        is_grad_enabled() && x.requires_grad ? Record(x, cos, sin) : RotationRows.Forward(x, cos, sin);

    protected override Tensor Forward(AutogradContext ctx, object[] vars)
    {
        (Tensor x, Tensor cos, Tensor sin) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        ctx.save_for_backward([cos, sin]);
        return RotationRows.Forward(x, cos, sin);
    }

    protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        return [RotationRows.Backward(gradient.contiguous(), saved[0], saved[1]), null, null];
    }
}
