using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// y = w ⊙ x / √(mean(x²) + ε) on a processor, with its gradients. Beside w only x is kept for them, which the residual stream
/// has in any case.
/// </summary>
internal sealed class RmsNormFunction : GradientFunction<RmsNormFunction>
{
    private const string Epsilon = nameof(Epsilon);
    private const string TakesInput = nameof(TakesInput);
    private const string TakesWeight = nameof(TakesWeight);

    /// <summary>y [..., hidden], with a gradient where gradients are on. It belongs to the dispose scope that is open.</summary>
    /// <param name="x">[..., hidden], with w one that <see cref="RmsNormRows"/> fits.</param>
    /// <param name="weight">w [hidden].</param>
    /// <param name="epsilon">ε.</param>
    public static Tensor Apply(Tensor x, Tensor weight, double epsilon) =>
        is_grad_enabled() && (x.requires_grad || weight.requires_grad)
            ? Record(x, weight, epsilon)
            : RmsNormRows.Forward(x, weight, epsilon);

    protected override Tensor Forward(AutogradContext ctx, object[] vars)
    {
        (Tensor x, Tensor weight, double epsilon) = ((Tensor)vars[0], (Tensor)vars[1], (double)vars[2]);
        ctx.save_for_backward([x, weight]);
        ctx.save_data(Epsilon, epsilon);
        ctx.save_data(TakesInput, x.requires_grad);
        ctx.save_data(TakesWeight, weight.requires_grad);
        return RmsNormRows.Forward(x, weight, epsilon);
    }

    protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor x, Tensor weight, double epsilon) = (saved[0], saved[1], (double)ctx.get_data(Epsilon));
        Tensor dy = gradient.contiguous();
        Tensor? dw = null;
        if ((bool)ctx.get_data(TakesWeight))
        {
            dw = (dy * RmsNormRows.Forward(x, weight: null, epsilon)).reshape(-1, x.size(-1)).sum(dim: 0);
        }

        return [(bool)ctx.get_data(TakesInput) ? RmsNormRows.Backward(dy, x, weight, epsilon) : null, dw, null];
    }
}
