using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// Next-token cross-entropy over the tokens with a label: −Σ log p(token | what stands before it), in nats. The scores [labels, vocabulary]
/// are the largest tensor of a step and never exist as a whole: some rows at a time are scored, and in training differentiated at once.
/// </summary>
internal static class SupervisedLoss
{
    /// <summary>
    /// weight · the sum over a batch, whose gradient is added to those of what trains. The caller owns the number, on the model's device.
    /// </summary>
    /// <param name="model">Computes forward and backward.</param>
    /// <param name="batch">The rows.</param>
    /// <param name="weight">1 / the tokens that whoever calls averages over.</param>
    /// <param name="chunkSize">Rows that are scored at a time.</param>
    public static Tensor Backward(ITrainedModel model, Batch batch, double weight, int chunkSize)
    {
        using var scope = NewDisposeScope();
        using var pass = new BackwardPass();
        Tensor hidden = model.Hidden(batch.InputIds, batch.LabelPositions);

        // The graph ends here, and another of the head alone begins for every chunk: what that leaves is the gradient to go on with. The
        // head comes before the embedding, which adds to its gradient where both are one.
        var gradients = new List<Tensor>();
        Tensor loss = zeros([], ScalarType.Float64, model.Device);
        foreach ((long start, long length) in Chunks(batch, chunkSize))
        {
            using var chunk = NewDisposeScope();
            Tensor rows = hidden.detach().narrow(0, start, length);
            rows.requires_grad = hidden.requires_grad;
            Tensor part = Sum(model.Head(rows), batch.Targets.narrow(0, start, length)).Times(weight);
            pass.Run(part, ones([], part.dtype, part.device));
            if (rows.grad is { } gradient)
            {
                gradients.Add(chunk.MoveToOuter(gradient));
            }

            using (no_grad())
            {
                loss.Accumulate(part.detach());
            }
        }

        if (gradients.Count > 0)
        {
            pass.Run(hidden, gradients is [var whole] ? whole : cat(gradients));
        }

        return scope.MoveToOuter(loss);
    }

    /// <summary>
    /// The mean over all labels of some rows, in batches by length, which ranks share out; the parts of all of them are added in one order.
    /// </summary>
    public static double Mean(
        ITrainedModel model, IReadOnlyList<SupervisedExample> examples, int batchSize, int padTokenId, int chunkSize,
        TrainingGroup? group = null)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        model.train(false);
        group ??= TrainingGroup.Alone;
        IReadOnlyList<SupervisedExample>[] batches = [.. BatchPlan.ByLength(examples, batchSize)];
        long[] labels = [.. batches.Select(rows => rows.Sum(row => (long)row.LabelCount))];
        double[][] parts = [.. labels.Select(count => new double[(count + chunkSize - 1) / chunkSize])];
        for (int at = 0; at < batches.Length; at++)
        {
            if (!group.IsOurs(at))
            {
                continue;
            }

            using var step = NewDisposeScope();
            using Batch batch = Batch.Of(batches[at], padTokenId, model.Device);
            Tensor hidden = model.Hidden(batch.InputIds, batch.LabelPositions);
            foreach ((long start, long length) in Chunks(batch, chunkSize))
            {
                using var chunk = NewDisposeScope();
                Tensor part = Sum(model.Head(hidden.narrow(0, start, length)), batch.Targets.narrow(0, start, length));
                parts[at][start / chunkSize] = part.item<double>();
            }
        }

        double[] all = [.. parts.SelectMany(part => part)];
        group.Sum(all);
        double sum = 0;
        Array.ForEach(all, part => sum += part);
        return sum / labels.Sum();
    }

    /// <summary>
    /// Of each response token of a batch, row by row: for measuring, where sums over whole texts show what a float32 log-softmax over many
    /// tokens loses. Scores are what the model gives; from them on everything is float64.
    /// </summary>
    /// <param name="model">Computes forward, in the mode that it is in.</param>
    /// <param name="batch">The rows.</param>
    /// <param name="chunkSize">Rows that are scored at a time.</param>
    public static double[] OfEach(ITrainedModel model, Batch batch, int chunkSize)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var losses = new double[batch.LabelCount];
        Tensor hidden = model.Hidden(batch.InputIds, batch.LabelPositions);
        foreach ((long start, long length) in Chunks(batch, chunkSize))
        {
            using var chunk = NewDisposeScope();
            Tensor each = CrossEntropy(
                model.Head(hidden.narrow(0, start, length)), batch.Targets.narrow(0, start, length), ScalarType.Float64);
            each.cpu().data<double>().CopyTo(losses.AsSpan((int)start));
        }

        return losses;
    }

    /// <summary>
    /// The sum from scores [rows, vocabulary] of any type, for the tokens that followed [rows]: in float64, of numbers that are float32's.
    /// So it does not depend on how the rows are cut into batches and shared out. It belongs to the dispose scope that is open.
    /// </summary>
    public static Tensor Sum(Tensor logits, Tensor targets)
    {
        using var scope = NewDisposeScope();
        Tensor each = CrossEntropyRows.Fits(logits, targets)
            ? CrossEntropyFunction.Apply(logits, targets)
            : CrossEntropy(logits, targets, ScalarType.Float32);
        return scope.MoveToOuter(each.sum(type: ScalarType.Float64));
    }

    /// <summary>That of each row.</summary>
    /// <param name="logits">Scores.</param>
    /// <param name="targets">What followed.</param>
    /// <param name="type">What to compute in at least.</param>
    private static Tensor CrossEntropy(Tensor logits, Tensor targets, ScalarType type)
    {
        using var scope = NewDisposeScope();
        Tensor wide = logits.dtype == ScalarType.Float64 ? logits : logits.to(type);
        return scope.MoveToOuter(nn.functional.cross_entropy(wide, targets, reduction: nn.Reduction.None));
    }

    private static IEnumerable<(long Start, long Length)> Chunks(Batch batch, int size)
    {
        for (long start = 0; start < batch.LabelCount; start += size)
        {
            yield return (start, Math.Min(size, batch.LabelCount - start));
        }
    }
}
