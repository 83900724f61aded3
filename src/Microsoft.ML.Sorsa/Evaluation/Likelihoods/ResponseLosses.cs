using System.Globalization;
using Microsoft.ML.Sorsa.Data;

namespace Microsoft.ML.Sorsa.Evaluation.Likelihoods;

/// <summary>
/// How likely a model finds the responses of rows behind their prompts: over the labels that training has by default, so that the mean
/// over all tokens is its validation loss.
/// </summary>
internal static class ResponseLosses
{
    /// <summary>
    /// Of each row the mean over its response's tokens, and their count; null where prompt or response are empty: training leaves these
    /// out, too.
    /// </summary>
    /// <param name="scorer">The model.</param>
    /// <param name="rows">Prompts and responses.</param>
    /// <param name="maxResponseLength">Tokens of a response before its end is cut.</param>
    /// <param name="warn">Told of responses that were cut.</param>
    /// <param name="cancellationToken">Checked before every batch.</param>
    /// <exception cref="ArgumentException">A row is longer than the model's positions, or has a token that the model has not.</exception>
    public static (double Loss, int Tokens)?[] Of(
        TokenScorer scorer, IReadOnlyList<(string Prompt, string Response)> rows, int maxResponseLength, Action<string> warn,
        CancellationToken cancellationToken)
    {
        var losses = new (double Loss, int Tokens)?[rows.Count];
        if (rows.All(row => string.IsNullOrWhiteSpace(row.Prompt) || string.IsNullOrWhiteSpace(row.Response)))
        {
            return losses;
        }

        EncodedExamples encoded = new ExampleEncoder(scorer.Prompts, scorer.EndTokenId, maxResponseLength, scorer.MaxPositions)
            .Encode(rows, "data", cancellationToken);
        if (encoded.Responses.Count > 0)
        {
            warn(string.Create(CultureInfo.InvariantCulture,
                $"{encoded.Responses.Count} of {encoded.Examples.Count} responses were cut for the perplexity, the end token first: "
                + $"{nameof(EvaluationOptions.MaxResponseLength)} is {maxResponseLength}, and the longest has {encoded.Responses.Longest} "
                + $"tokens. Raise it to count them whole."));
        }

        double[] sums = scorer.Losses(encoded.Examples, cancellationToken);
        for (int i = 0; i < sums.Length; i++)
        {
            int tokens = encoded.Examples[i].LabelCount;
            losses[encoded.Rows[i] - 1] = tokens == 0 ? null : (sums[i] / tokens, tokens);
        }

        return losses;
    }
}
