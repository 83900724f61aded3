using System.Globalization;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>The rows in tokens, and what was lost on the way.</summary>
/// <param name="Examples">In the order of the data.</param>
/// <param name="Dropped">Rows without a prompt or without a response.</param>
/// <param name="Prompts">What was cut of the prompts.</param>
/// <param name="Responses">What was cut of the responses, their end token first.</param>
/// <param name="Rows">Which rows of the data the examples are, counted from 1.</param>
internal sealed record EncodedExamples(
    IReadOnlyList<SupervisedExample> Examples, int Dropped, CutTexts Prompts, CutTexts Responses, IReadOnlyList<int> Rows);

/// <summary>Texts that were longer than they may be.</summary>
/// <param name="Count">How many.</param>
/// <param name="Longest">Tokens of the longest text, cut or not.</param>
internal readonly record struct CutTexts(int Count, int Longest)
{
    /// <summary>With one text more.</summary>
    public CutTexts With(int length, bool cut) => new(Count + (cut ? 1 : 0), Math.Max(Longest, length));
}

/// <summary>
/// Turns prompts and responses into examples. Both are tokenised separately, without special tokens; the end token follows the response:
/// what the template puts behind an answer, or the end-of-text token. A prompt that is too long loses the end of its own text, a response
/// its end.
/// </summary>
internal sealed class ExampleEncoder(PromptEncoder prompts, int eosTokenId, int maxResponseLength, int maxPositions)
{
    private readonly int _end = prompts.EndOfTurnId ?? eosTokenId;

    /// <exception cref="InvalidOperationException">No row is left.</exception>
    /// <exception cref="ArgumentException">
    /// A row is longer than the model's positions, or has a token beyond the model's rows.
    /// </exception>
    public EncodedExamples Encode(IEnumerable<(string Prompt, string Response)> rows, string argument, CancellationToken cancellationToken)
    {
        var examples = new List<SupervisedExample>();
        var kept = new List<int>();
        CutTexts cutPrompts = default, cutResponses = default;
        int row = 0, dropped = 0;
        foreach ((string prompt, string response) in rows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            row++;
            if (string.IsNullOrWhiteSpace(prompt) || string.IsNullOrWhiteSpace(response))
            {
                dropped++;
                continue;
            }

            (int[] promptIds, int promptLength, int[] responseIds) = Encode(prompt, response, row, argument);
            int responseLength = responseIds.Length;
            responseIds = responseIds[..Math.Min(responseLength, maxResponseLength)];
            cutPrompts = cutPrompts.With(promptLength, cut: promptIds.Length < promptLength);
            cutResponses = cutResponses.With(responseLength, cut: responseIds.Length < responseLength);
            if (promptIds.Length + responseIds.Length > maxPositions)
            {
                throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                    $"{argument}: row {row} has {promptIds.Length} tokens of prompt and {responseIds.Length} of response, and the model " +
                    $"has {maxPositions} positions. Lower MaxPromptLength (now {prompts.MaxLength?.ToString(CultureInfo.InvariantCulture)
                        ?? "not set"}) and MaxResponseLength (now {maxResponseLength}) so that their sum fits, or leave such rows out."),
                    argument);
            }

            examples.Add(new SupervisedExample([.. promptIds, .. responseIds], promptIds.Length));
            kept.Add(row);
        }

        return examples.Count > 0
            ? new EncodedExamples(examples, dropped, cutPrompts, cutResponses, kept)
            : throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                $"{argument}: no row is left to work with: of {row} rows, {dropped} have an empty prompt or response. " +
                $"Give data whose prompt and response columns hold text."));
    }

    private (int[] Prompt, int PromptLength, int[] Response) Encode(string prompt, string response, int row, string argument)
    {
        try
        {
            return (prompts.Encode(prompt, out int length), length, EncodeResponse(response));
        }
        catch (TokenWithoutRowException error)
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"{argument}: row {row}: {error.Message}"), argument, error);
        }
    }

    /// <summary>One end token, also where the response brings its own, with white space behind it or not.</summary>
    private int[] EncodeResponse(string response)
    {
        string? endText = prompts.Tokenizer.SpecialText(_end);
        string text = endText is not null && response.TrimEnd().EndsWith(endText, StringComparison.Ordinal) ? response.TrimEnd() : response;
        int[] ids = prompts.Tokenizer.Encode(text, addSpecialTokens: false);
        return ids.Length > 0 && ids[^1] == _end ? ids : [.. ids, _end];
    }
}
