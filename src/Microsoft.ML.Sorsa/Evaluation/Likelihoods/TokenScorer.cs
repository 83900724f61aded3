using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Evaluation.Likelihoods;

/// <summary>
/// How likely a model finds tokens behind others. All that evaluation says of likelihoods comes from here, and from here on from the
/// trainer's own loss.
/// </summary>
/// <param name="model">Its sizes and end tokens.</param>
/// <param name="network">The same model, from ids to scores.</param>
/// <param name="module">The same model, which may be in training or not.</param>
/// <param name="prompts">Its tokenizer, and its prompt template.</param>
/// <param name="turn">Does something while no one else uses the model, with the weights that are asked about in place.</param>
internal sealed class TokenScorer(
    ILanguageModel model, ITrainedModel network, nn.Module module, PromptEncoder prompts, Action<Action> turn)
{
    /// <summary>Tokens of a batch, padding included: enough that the weights are read once for many.</summary>
    private const int BatchTokens = 2048;

    /// <summary>Scores that exist at a time: 80 MB with their copy in float64.</summary>
    private const int MostScores = 1 << 22;

    public PromptEncoder Prompts => prompts;

    /// <summary>How many tokens a text may have.</summary>
    public int MaxPositions => model.MaxPositions;

    /// <summary>What ends a text, by the rule that training has.</summary>
    /// <exception cref="InvalidOperationException">Nothing names it.</exception>
    public int EndTokenId => prompts.Tokenizer.EosTokenId ?? (model.EndTokenIds.Count > 0
        ? model.EndTokenIds[0]
        : throw new InvalidOperationException(
            "Neither the model nor its tokenizer names the token that ends a text, so that a response has no end that could be likely or "
            + "not. Set eos_token in tokenizer_config.json, or give endTokenId with a model object."));

    /// <summary>−Σ ln p(token | what stands before it) over the response tokens of each example, in nats, in their order.</summary>
    /// <param name="examples">None longer than <see cref="MaxPositions"/>.</param>
    /// <param name="cancellationToken">Checked before every batch.</param>
    /// <exception cref="InvalidOperationException">The model gives no numbers (NaN).</exception>
    public double[] Losses(IReadOnlyList<SupervisedExample> examples, CancellationToken cancellationToken)
    {
        var losses = new double[examples.Count];
        foreach (int[] batch in Batches(examples))
        {
            cancellationToken.ThrowIfCancellationRequested();
            turn(() => Score(examples, batch, losses));
        }

        return !losses.Any(double.IsNaN) ? losses : throw new InvalidOperationException(
            "The model gives scores that are no numbers (NaN), so that nothing can be said of it: its weights are damaged, or too large "
            + "for the type that it computes in. Fetch or train it again, or load it with the computeType Float32.");
    }

    /// <summary>
    /// Similar lengths together, so that little is padding; the longest first, so that memory runs out early or not at all.
    /// </summary>
    private static IEnumerable<int[]> Batches(IReadOnlyList<SupervisedExample> examples)
    {
        var batch = new List<int>();
        foreach (int index in Enumerable.Range(0, examples.Count)
            .Where(index => examples[index].LabelCount > 0)
            .OrderByDescending(index => examples[index].Ids.Length))
        {
            if (batch.Count > 0 && (batch.Count + 1L) * examples[batch[0]].Ids.Length > BatchTokens)
            {
                yield return [.. batch];
                batch.Clear();
            }

            batch.Add(index);
        }

        if (batch.Count > 0)
        {
            yield return [.. batch];
        }
    }

    private void Score(IReadOnlyList<SupervisedExample> examples, int[] indices, double[] losses)
    {
        SupervisedExample[] rows = [.. indices.Select(index => examples[index])];

        // What stands behind a row is seen by nobody: any token does for padding.
        using Batch batch = Batch.Of(rows, padTokenId: 0, network.Device);
        double[] each = InEvaluation(() => SupervisedLoss.OfEach(network, batch, Math.Max(1, MostScores / model.VocabularySize)));
        int at = 0;
        for (int row = 0; row < rows.Length; row++)
        {
            int end = at + rows[row].LabelCount;
            losses[indices[row]] = each[at..end].Sum();
            at = end;
        }
    }

    /// <summary>Whatever mode a user has a model object in, no dropout is in a score.</summary>
    private double[] InEvaluation(Func<double[]> score)
    {
        if (!module.training)
        {
            return score();
        }

        module.train(false);
        try
        {
            return score();
        }
        finally
        {
            module.train(true);
        }
    }
}
