using Microsoft.ML.Sorsa.Tensors;
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

    /// <summary>The gradient of one of the inputs where it alone trains; the dispose scope's that is open.</summary>
    /// <inheritdoc cref="Of"/>
    /// <param name="inputs">Q, K and V.</param>
    /// <param name="which">The one that trains.</param>
    /// <param name="gradient">That of the output, however it lies.</param>
    /// <param name="attend">Computes.</param>
    public static Tensor OfOne(Tensor[] inputs, int which, Tensor gradient, Func<Tensor, Tensor, Tensor, Tensor> attend)
    {
        Tensor leaf = inputs[which].detach().clone().requires_grad_();
        Tensor[] given = [.. inputs.Select((input, at) => at == which ? leaf : input)];
        using var pass = new BackwardPass();
        pass.Run(attend(given[0], given[1], given[2]), gradient);
        return leaf.grad!;
    }

    /// <summary>How many tensors there are more, after a query's gradient was computed and freed, and after attention without.</summary>
    public static long TensorsLeft(Tensor query, Tensor key, Tensor gradient, Func<Tensor, Tensor, Tensor, Tensor> attend)
    {
        // What earlier tests left to the collector would lower the count when it is collected.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;

        using (NewDisposeScope())
        using (var pass = new BackwardPass())
        {
            pass.Run(attend(query, key, key), gradient);
            query.grad!.Dispose();
            query.grad = null;
        }

        using (no_grad())
        {
            attend(query, key, key).Dispose();
        }

        return Tensor.TotalCount - before;
    }
}
