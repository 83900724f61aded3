using System.Globalization;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>The rows in tokens, and what was lost on the way.</summary>
/// <param name="Examples">In the order of the data.</param>
/// <param name="Dropped">Rows without a prompt or without a response.</param>
/// <param name="Truncated">Rows of which the prompt or the response was cut.</param>
internal sealed record EncodedExamples(IReadOnlyList<SupervisedExample> Examples, int Dropped, int Truncated);

/// <summary>
/// Turns prompts and responses into examples. Both are tokenised separately, without special tokens; the end-of-text token follows
/// the response; then each is cut at its own length.
/// </summary>
internal sealed class ExampleEncoder(PromptEncoder prompts, int eosTokenId, int maxPromptLength, int maxResponseLength, int maxPositions)
{
    /// <exception cref="InvalidOperationException">No row is left.</exception>
    /// <exception cref="ArgumentException">
    /// A row is longer than the model's positions, or has a token beyond the model's rows.
    /// </exception>
    public EncodedExamples Encode(IEnumerable<(string Prompt, string Response)> rows, string argument, CancellationToken cancellationToken)
    {
        var examples = new List<SupervisedExample>();
        int row = 0, dropped = 0, truncated = 0;
        foreach ((string prompt, string response) in rows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            row++;
            if (string.IsNullOrWhiteSpace(prompt) || string.IsNullOrWhiteSpace(response))
            {
                dropped++;
                continue;
            }

            (int[] promptIds, int[] responseIds) = Encode(prompt, response, row, argument);
            if (promptIds.Length > maxPromptLength || responseIds.Length > maxResponseLength)
            {
                truncated++;
                promptIds = promptIds[..Math.Min(promptIds.Length, maxPromptLength)];
                responseIds = responseIds[..Math.Min(responseIds.Length, maxResponseLength)];
            }

            if (promptIds.Length + responseIds.Length > maxPositions)
            {
                throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                    $"{argument}: row {row} has {promptIds.Length} tokens of prompt and {responseIds.Length} of response, and the model " +
                    $"has {maxPositions} positions. Lower MaxPromptLength (now {maxPromptLength}) and MaxResponseLength (now " +
                    $"{maxResponseLength}) so that their sum fits, or leave such rows out."), argument);
            }

            examples.Add(new SupervisedExample([.. promptIds, .. responseIds], promptIds.Length));
        }

        return examples.Count > 0
            ? new EncodedExamples(examples, dropped, truncated)
            : throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                $"{argument}: no row is left to work with: of {row} rows, {dropped} have an empty prompt or response. " +
                $"Give data whose prompt and response columns hold text."));
    }

    private (int[] Prompt, int[] Response) Encode(string prompt, string response, int row, string argument)
    {
        try
        {
            return (prompts.Encode(prompt), [.. prompts.Tokenizer.Encode(response, addSpecialTokens: false), eosTokenId]);
        }
        catch (TokenWithoutRowException error)
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"{argument}: row {row}: {error.Message}"), argument, error);
        }
    }
}

/// <summary>One row in tokens: the prompt, then the response that is learnt.</summary>
/// <param name="Ids">Prompt and response.</param>
/// <param name="PromptLength">How many of them are the prompt; they carry no label.</param>
internal sealed record SupervisedExample(int[] Ids, int PromptLength)
{
    /// <summary>The tokens that the loss counts: the response. (Without a prompt the first has nothing to be predicted from.)</summary>
    public int LabelCount => Ids.Length - Math.Max(PromptLength, 1);
}
