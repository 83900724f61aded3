using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>Next-token cross-entropy over the response tokens: −Σ log p(token | what stands before it).</summary>
internal static class SupervisedLoss
{
    /// <summary>The sum over a batch, in nats; whoever calls divides by the number of tokens that it averages over. The caller owns it.</summary>
    public static Tensor Sum(CausalLM model, Batch batch) => Sum(model, batch, model.Embed(batch.InputIds));

    /// <inheritdoc cref="Sum(CausalLM, Batch)"/>
    public static Tensor Sum(CausalLM model, Batch batch, Tensor embedded)
    {
        using var scope = NewDisposeScope();
        Tensor hidden = model.Forward(embedded);

        // Logits only where they count: over a large vocabulary they are the largest tensor of a step.
        Tensor logits = model.Logits(hidden.flatten(0, 1).index_select(0, batch.Places));
        Tensor wide = logits.dtype == ScalarType.Float64 ? logits : logits.to(ScalarType.Float32);
        return scope.MoveToOuter(nn.functional.cross_entropy(wide, batch.Targets, reduction: nn.Reduction.Sum));
    }

    /// <summary>The mean over all response tokens of some rows.</summary>
    public static double Mean(CausalLM model, IReadOnlyList<SupervisedExample> examples, int batchSize, int padTokenId)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        model.eval();
        double sum = 0;
        foreach (IReadOnlyList<SupervisedExample> rows in BatchPlan.ByLength(examples, batchSize))
        {
            using var step = NewDisposeScope();
            using Batch batch = Batch.Of(rows, padTokenId, model.Device);
            sum += Sum(model, batch).to(ScalarType.Float64).item<double>();
        }

        return sum / examples.Sum(example => (long)example.LabelCount);
    }
}
