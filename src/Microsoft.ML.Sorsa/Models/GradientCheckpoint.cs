using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>A part of a decoder layer, with the residual connection around it.</summary>
internal interface ICheckpointedBlock
{
    /// <summary>Computes the block's output [B, T, hidden].</summary>
    /// <param name="input">x [B, T, hidden].</param>
    /// <param name="inputs">What else it reads.</param>
    /// <param name="isRead">
    /// Whether the values are read; otherwise it is enough that their gradient finds its way, and the last projection need not be computed.
    /// </param>
    Tensor Compute(Tensor input, AttentionInputs inputs, bool isRead);
}

/// <summary>
/// Gradient checkpointing (Chen et al., arXiv 1604.06174): of a block only the input is kept, and what its gradient needs beside that is
/// computed once more, in backward. Gradients are the same to the bit. A block's last projection is not computed again: no gradient needs
/// its values.
/// </summary>
internal sealed class GradientCheckpoint : GradientFunction<GradientCheckpoint>
{
    /// <summary>The output of a block; it belongs to the dispose scope that is open.</summary>
    /// <param name="block">What trains in it takes its gradients itself.</param>
    /// <param name="input">x [B, T, hidden].</param>
    /// <param name="inputs">What else the block reads; without a cache.</param>
    /// <param name="anchor">Any tensor with a gradient: by it libtorch comes here where the input has none.</param>
    public static Tensor Apply(ICheckpointedBlock block, Tensor input, AttentionInputs inputs, Tensor anchor) =>
        Record(input, anchor, block, inputs);

    protected override Tensor Forward(AutogradContext ctx, object[] vars)
    {
        var input = (Tensor)vars[0];
        var block = (ICheckpointedBlock)vars[2];
        var inputs = (AttentionInputs)vars[3];
        ctx.save_for_backward([input, inputs.Angles.Cos, inputs.Angles.Sin, .. inputs.Mask is { } mask ? [mask] : Array.Empty<Tensor>()]);
        ctx.save_data(nameof(ICheckpointedBlock), block);
        ctx.save_data(nameof(input.requires_grad), input.requires_grad);
        return block.Compute(input, inputs, isRead: true);
    }

    protected override List<Tensor?> Gradients(AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        var block = (ICheckpointedBlock)ctx.get_data(nameof(ICheckpointedBlock));
        var inputs = new AttentionInputs((saved[1], saved[2]), saved.Count > 3 ? saved[3] : null, Cache: null);

        // A leaf of its own: the graph of the block ends here.
        Tensor input = saved[0].detach();
        input.requires_grad = (bool)ctx.get_data(nameof(input.requires_grad));
        Tensor output;
        using (enable_grad())
        using (var made = NewDisposeScope())
        {
            output = made.MoveToOuter(block.Compute(input, inputs, isRead: false));
        }

        if (output.requires_grad)
        {
            autograd.backward(output, gradient);
        }

        return [input.requires_grad ? input.grad : null, null, null, null];
    }
}
