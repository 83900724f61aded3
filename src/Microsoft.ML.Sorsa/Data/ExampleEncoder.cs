using System.Globalization;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>The rows in tokens, and what was lost on the way.</summary>
/// <param name="Examples">In the order of the data.</param>
/// <param name="Dropped">Rows without a prompt or without a response, in text or in tokens.</param>
/// <param name="Prompts">What was cut of the prompts, where they are tokenised alone.</param>
/// <param name="Responses">What was cut of the responses, their end token first, where they are.</param>
/// <param name="Texts">What was cut of prompt and response, their end token first, where they are one text.</param>
/// <param name="Rows">Which rows of the data the examples are, counted from 1.</param>
/// <param name="Counts">What was counted on the way.</param>
internal sealed record EncodedExamples(
    IReadOnlyList<SupervisedExample> Examples, int Dropped, CutTexts Prompts, CutTexts Responses, CutTexts Texts, IReadOnlyList<int> Rows,
    RowStatistics Counts)
{
    public required DataStatistics Statistics { get; init; }

    /// <summary>As validation rows: how many of them are trained on, too.</summary>
    public EncodedExamples Beside(EncodedExamples train) => this with
    {
        Statistics = Statistics with { SharedWithTraining = Counts.Rows.Count(train.Counts.Rows.Contains) },
    };
}

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
/// its end. Where all tokens are learnt, the two are one text, which is tokenised and cut as one.
/// </summary>
internal sealed class ExampleEncoder(
    PromptEncoder prompts, int eosTokenId, int maxResponseLength, int maxPositions,
    TrainedTokens trainedTokens = TrainedTokens.Response, EndToken endToken = EndToken.Always)
{
    private readonly int _end = prompts.EndOfTurnId ?? eosTokenId;
    private readonly int _maxTextLength = (int)Math.Min((long)(prompts.MaxLength ?? int.MaxValue) + maxResponseLength, int.MaxValue);

    /// <exception cref="InvalidOperationException">No row is left.</exception>
    /// <exception cref="ArgumentException">
    /// A row is longer than the model's positions, or has a token beyond the model's rows.
    /// </exception>
    public EncodedExamples Encode(IEnumerable<(string Prompt, string Response)> rows, string argument, CancellationToken cancellationToken)
    {
        var examples = new List<SupervisedExample>();
        var kept = new List<int>();
        var counts = new RowStatistics();
        CutTexts cutPrompts = default, cutResponses = default, cutTexts = default;
        int row = 0, dropped = 0;
        foreach ((string prompt, string response) in rows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            row++;
            if (!counts.Add(prompt, response))
            {
                dropped++;
                continue;
            }

            (EncodedText front, EncodedText behind) = Encode(prompt, response, row, argument);
            if (trainedTokens == TrainedTokens.All)
            {
                cutTexts = cutTexts.With(behind.Length, behind.IsCut);
            }
            else
            {
                cutPrompts = cutPrompts.With(front.Length, front.IsCut);
                cutResponses = cutResponses.With(behind.Length, behind.IsCut);
            }

            VerifyPositions(front.Ids.Length, behind.Ids.Length, row, argument);
            var example = new SupervisedExample([.. front.Ids, .. behind.Ids], front.Ids.Length)
            {
                EndsIfPadded = endToken == EndToken.WherePadded && !behind.IsCut,
            };
            if (example.CutTo(example.Length).LabelCount < 1)
            {
                dropped++;
                continue;
            }

            examples.Add(example);
            kept.Add(row);
            counts.Add(prompt, response, front.Length, behind.Length, example);
        }

        bool isOneText = trainedTokens == TrainedTokens.All;
        return examples.Count > 0
            ? new EncodedExamples(examples, dropped, cutPrompts, cutResponses, cutTexts, kept, counts)
            {
                Statistics = counts.ToStatistics(isOneText, prompts.MaxLength, isOneText ? _maxTextLength : maxResponseLength),
            }
            : throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                $"{argument}: no row is left to work with: of {row} rows, {dropped} have an empty prompt or response. " +
                $"Give data whose prompt and response columns hold text."));
    }

    /// <summary>What carries no label, and what does: prompt and response, or nothing and the whole text.</summary>
    private (EncodedText Front, EncodedText Behind) Encode(string prompt, string response, int row, string argument)
    {
        try
        {
            // What a response ends with itself is its end token, with white space behind it or not.
            string? endText = endToken == EndToken.Never ? null : prompts.Tokenizer.SpecialText(_end);
            bool hasEnd = endText is not null && response.TrimEnd().EndsWith(endText, StringComparison.Ordinal);
            response = hasEnd ? response.TrimEnd() : response;
            return trainedTokens == TrainedTokens.All
                ? (new EncodedText([], 0), Ended(prompts.EncodeWith(prompt, response), _maxTextLength))
                : (new EncodedText(prompts.Encode(prompt, out int length), length),
                    Ended(prompts.Tokenizer.Encode(response, addSpecialTokens: false), maxResponseLength));
        }
        catch (TokenWithoutRowException error)
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"{argument}: row {row}: {error.Message}"), argument, error);
        }
    }

    /// <summary>With one end token, which is cut first.</summary>
    private EncodedText Ended(int[] ids, int maxLength)
    {
        int[] whole = endToken == EndToken.Never || (ids.Length > 0 && ids[^1] == _end) ? ids : [.. ids, _end];
        return new EncodedText(whole[..Math.Min(whole.Length, maxLength)], whole.Length);
    }

    private void VerifyPositions(int prompt, int response, int row, string argument)
    {
        if (prompt + response > maxPositions)
        {
            string has = trainedTokens == TrainedTokens.All
                ? string.Create(CultureInfo.InvariantCulture, $"{response} tokens of prompt and response")
                : string.Create(CultureInfo.InvariantCulture, $"{prompt} tokens of prompt and {response} of response");
            string most = prompts.MaxLength?.ToString(CultureInfo.InvariantCulture) ?? "not set";
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"{argument}: row {row} has {has}, and the model has {maxPositions} positions. Lower MaxPromptLength (now {most}) and " +
                $"MaxResponseLength (now {maxResponseLength}) so that their sum fits, or leave such rows out."), argument);
        }
    }

    /// <summary>A text in tokens.</summary>
    /// <param name="Ids">As many as it may have.</param>
    /// <param name="Length">How many it has uncut.</param>
    private readonly record struct EncodedText(int[] Ids, int Length)
    {
        public bool IsCut => Ids.Length < Length;
    }
}
