using System.Globalization;
using System.Text;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>What rows are like in tokens, and what training leaves out or cuts of them: known before the first step.</summary>
public sealed record DataStatistics
{
    /// <summary>Rows that the data has.</summary>
    public required int RowsGiven { get; init; }

    /// <summary>Rows that are worked with: those that have a prompt and a response.</summary>
    public required int Rows { get; init; }

    /// <summary>Rows whose prompt is empty or white space; left out.</summary>
    public required int EmptyPrompts { get; init; }

    /// <summary>Rows whose response is empty or white space; left out.</summary>
    public required int EmptyResponses { get; init; }

    /// <summary>Rows whose prompt and response an earlier row has, to the letter; they are trained on like any other.</summary>
    public required int Duplicates { get; init; }

    /// <summary>Rows whose prompt an earlier row has, with another response.</summary>
    public required int RepeatedPrompts { get; init; }

    /// <summary>Different validation rows that are among the training rows, to the letter; null for training rows.</summary>
    public int? SharedWithTraining { get; init; }

    /// <summary>Tokens that go through the model in one pass over the rows, padding not counted.</summary>
    public required long Tokens { get; init; }

    /// <summary>Those of them that the loss counts.</summary>
    public required long LearntTokens { get; init; }

    /// <summary>Of the prompts in their template; null where prompt and response are one text (TrainedTokens.All).</summary>
    public TokenLengths? Prompts { get; init; }

    /// <summary>Of the responses, their end token included; null where prompt and response are one text.</summary>
    public TokenLengths? Responses { get; init; }

    /// <summary>Of whole rows.</summary>
    public required TokenLengths Texts { get; init; }

    /// <summary>One line.</summary>
    public override string ToString()
    {
        var line = new StringBuilder(string.Create(CultureInfo.InvariantCulture,
            $"{Tokens:N0} tokens, {LearntTokens:N0} of them to learn; rows of {Texts}"));
        if (Prompts is not null && Responses is not null)
        {
            line.Append(CultureInfo.InvariantCulture, $"; prompts of {Prompts}; responses of {Responses}");
        }

        Add(Duplicates, "that an earlier row equals");
        Add(RepeatedPrompts, "with the prompt of an earlier row and another response");
        Add(SharedWithTraining ?? 0, SharedWithTraining == 1 ? "that is trained on, too" : "that are trained on, too");
        return line.Append('.').ToString();

        void Add(int count, string what)
        {
            if (count > 0)
            {
                line.Append(CultureInfo.InvariantCulture, $"; {count:N0} {(count == 1 ? "row" : "rows")} {what}");
            }
        }
    }
}

/// <summary>The lengths of some texts in tokens, as they are before anything is cut, and what is cut of them.</summary>
public sealed record TokenLengths
{
    /// <summary>Tokens of the shortest text.</summary>
    public required int Shortest { get; init; }

    /// <summary>The mean.</summary>
    public required double Mean { get; init; }

    /// <summary>Half of the texts have at most so many tokens.</summary>
    public required int Median { get; init; }

    /// <summary>90 % of the texts have at most so many tokens.</summary>
    public required int Percentile90 { get; init; }

    /// <summary>99 % of the texts have at most so many tokens.</summary>
    public required int Percentile99 { get; init; }

    /// <summary>Tokens of the longest text.</summary>
    public required int Longest { get; init; }

    /// <summary>Tokens that a text may have; null for whole rows where their two parts are limited each.</summary>
    public int? Limit { get; init; }

    /// <summary>Texts that are cut.</summary>
    public required int CutTexts { get; init; }

    /// <summary>Tokens that all of them lose together.</summary>
    public required long CutTokens { get; init; }

    /// <summary>The range, and where most of them are.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Shortest:N0} to {Longest:N0} (median {Median:N0}, 90 % up to {Percentile90:N0}, 99 % up to {Percentile99:N0})");

    /// <summary>By nearest rank: the smallest length that so many of the texts do not exceed.</summary>
    /// <param name="lengths">Uncut, one at least; sorted in place.</param>
    /// <param name="limit">Tokens that a text may have.</param>
    /// <param name="cutTexts">Texts that are cut.</param>
    /// <param name="cutTokens">What they lose.</param>
    internal static TokenLengths Of(List<int> lengths, int? limit, int cutTexts, long cutTokens)
    {
        lengths.Sort();
        return new TokenLengths
        {
            Shortest = lengths[0],
            Mean = lengths.Average(),
            Median = Percentile(50),
            Percentile90 = Percentile(90),
            Percentile99 = Percentile(99),
            Longest = lengths[^1],
            Limit = limit,
            CutTexts = cutTexts,
            CutTokens = cutTokens,
        };

        int Percentile(int percent) => lengths[(int)((((long)lengths.Count * percent) + 99) / 100) - 1];
    }
}
