using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

internal static class AttentionResults
{
    /// <summary>What attention gives for queries, keys and values, and their gradients; the dispose scope's that is open.</summary>
    /// <param name="inputs">Q, K and V, read where they lie.</param>
    /// <param name="gradient">That of the output.</param>
    /// <param name="attend">Computes.</param>
    public static Tensor[] Of(Tensor[] inputs, Tensor gradient, Func<Tensor, Tensor, Tensor, Tensor> attend)
    {
        Tensor[] leaves = [.. inputs.Select(input => input.detach().requires_grad_())];
        Tensor output = attend(leaves[0], leaves[1], leaves[2]);
        output.backward([gradient]);
        return [output.detach(), .. leaves.Select(leaf => leaf.grad!)];
    }
}
