using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>Next-token cross-entropy over the response tokens: −Σ log p(token | what stands before it).</summary>
internal static class SupervisedLoss
{
    /// <summary>
    /// The sum over a batch, in nats; whoever calls divides by the number of tokens that it averages over. The caller owns it.
    /// </summary>
    public static Tensor Sum(ITrainedModel model, Batch batch)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(Sum(model.Logits(batch.InputIds, batch.LabelPositions), batch));
    }

    /// <summary>The same from the scores [labels, vocabulary] themselves.</summary>
    public static Tensor Sum(Tensor logits, Batch batch)
    {
        using var scope = NewDisposeScope();
        Tensor wide = logits.dtype == ScalarType.Float64 ? logits : logits.to(ScalarType.Float32);
        return scope.MoveToOuter(nn.functional.cross_entropy(wide, batch.Targets, reduction: nn.Reduction.Sum));
    }

    /// <summary>The mean over all response tokens of some rows.</summary>
    public static double Mean(ITrainedModel model, IReadOnlyList<SupervisedExample> examples, int batchSize, int padTokenId)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        model.train(false);
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
