using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>log Σ e^(s_j) − s_target of rows of scores on a processor, with its gradient. Only the scores are kept for it.</summary>
internal sealed class CrossEntropyFunction : GradientFunction<CrossEntropyFunction>
{
    /// <summary>The losses [rows], float32, with a gradient where gradients are on. They are the dispose scope's that is open.</summary>
    /// <param name="scores">[rows, V], with the targets one that <see cref="CrossEntropyRows"/> fits.</param>
    /// <param name="targets">[rows], int64.</param>
    public static Tensor Apply(Tensor scores, Tensor targets)
    {
        if (is_grad_enabled() && scores.requires_grad)
        {
            return Record(scores, targets);
        }

        (Tensor losses, Tensor sums) = CrossEntropyRows.Forward(scores, targets);
        sums.Dispose();
        return losses;
    }

    protected override Tensor Forward(AutogradContext ctx, object[] vars)
    {
        (Tensor scores, Tensor targets) = ((Tensor)vars[0], (Tensor)vars[1]);
        (Tensor losses, Tensor sums) = CrossEntropyRows.Forward(scores, targets);
        ctx.save_for_backward([scores, targets, sums]);
        return losses;
    }

    protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        return [CrossEntropyRows.Backward(gradient.contiguous(), saved[0], saved[1], saved[2]), null];
    }
}
