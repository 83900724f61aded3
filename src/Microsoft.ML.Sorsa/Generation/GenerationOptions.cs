using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>How text is generated. The defaults are greedy: the same prompt gives the same text, always the most likely token.</summary>
/// <remarks>
/// The order of the methods is that of transformers: repetition penalty, temperature, top-k, top-p, draw. Each property throws
/// <see cref="ArgumentException"/> on a value outside its range.
/// </remarks>
public sealed record GenerationOptions
{
    /// <summary>The most tokens that are generated for a prompt, the end token included. Default 256; range 1 and above.</summary>
    /// <remarks>
    /// A text also ends where the model's positions end. The memory for keys and values is taken for all of them at the start.
    /// </remarks>
    public int MaxNewTokens
    {
        get;
        init => field = value >= 1
            ? value
            : throw OptionRange.Error(nameof(MaxNewTokens), value, "at least 1", "Set the number of tokens that an answer may have");
    } = 256;

    /// <summary>
    /// What the logits are divided by before a token is drawn: below 1 bolder, above 1 more varied. Default 0, which is greedy and draws
    /// nothing; at least 0.
    /// </summary>
    public double Temperature
    {
        get;
        init => field = value >= 0 && double.IsFinite(value)
            ? value
            : throw OptionRange.Error(
                nameof(Temperature), value, "a finite number, at least 0", "Use 0 for greedy decoding, 0.7 to 1 for drawing");
    }

    /// <summary>
    /// Draw among the fewest most likely tokens whose probability together reaches this (nucleus sampling, Holtzman et al., arXiv
    /// 1904.09751). Default 1: among all; range above 0 up to 1. Needs a <see cref="Temperature"/> above 0.
    /// </summary>
    public double TopP
    {
        get;
        init => field = value is > 0 and <= 1
            ? value
            : throw OptionRange.Error(nameof(TopP), value, "above 0 and at most 1",
                "Use 1 to draw among all tokens, 0.9 to leave the unlikely ones out");
    } = 1;

    /// <summary>
    /// Draw among this many most likely tokens (Fan et al., arXiv 1805.04833); tokens as likely as the last of them stay in. Default 0:
    /// among all; range 0 and above. Needs a <see cref="Temperature"/> above 0.
    /// </summary>
    public int TopK
    {
        get;
        init => field = value >= 0 ? value : throw OptionRange.Error(nameof(TopK), value, "at least 0", "Use 0 to draw among all tokens");
    }

    /// <summary>
    /// Makes tokens that stand in the prompt or in the new text less likely: a positive logit is divided by it, a negative one
    /// multiplied (Keskar et al., arXiv 1909.05858). Default 1: off; range above 0, below 1 favours repetition.
    /// </summary>
    public double RepetitionPenalty
    {
        get;
        init => field = value > 0 && double.IsFinite(value)
            ? value
            : throw OptionRange.Error(
                nameof(RepetitionPenalty), value, "a finite number above 0", "Use 1 for no penalty, 1.1 to 1.3 against repetition");
    } = 1;

    /// <summary>
    /// A text ends before the first of these to be complete, compared ordinally, wherever tokens begin and end. One may be a special token
    /// (<c>&lt;|im_end|&gt;</c>), or hold one, although special tokens are not in the text. Default none.
    /// </summary>
    public IReadOnlyList<string> StopStrings
    {
        get;
        init => field = value is not null && !value.Any(string.IsNullOrEmpty)
            ? [.. value]
            : throw new ArgumentException(
                $"{nameof(StopStrings)} is null or holds an empty text, which would end every text at once; leave it out.",
                nameof(StopStrings));
    } = [];

    /// <summary>How many prompts are decoded together. It changes speed and memory, not the texts. Default 8; range 1 to 4096.</summary>
    public int BatchSize
    {
        get;
        init => field = value is >= 1 and <= 4096
            ? value
            : throw OptionRange.Error(nameof(BatchSize), value, "from 1 to 4096", "Use 1 for the least memory");
    } = 8;

    /// <summary>
    /// Where the draws start, together with the prompt: the same seed and prompt draw the same, whatever else is generated beside it.
    /// Default 0; any number. Greedy decoding does not use it.
    /// </summary>
    public int Seed { get; init; }

    /// <summary>What a token's score loses each time that it stands in the text so far: <see cref="Sampling.CountPenalty"/>.</summary>
    internal double FrequencyPenalty { get; init; }

    /// <summary>What a token's score loses where it stands in the text so far.</summary>
    internal double PresencePenalty { get; init; }

    /// <summary>Refuses options that do not fit together.</summary>
    internal void Validate()
    {
        if (Temperature > 0 || (TopP == 1 && TopK == 0))
        {
            return;
        }

        (string name, string value, int off) = TopK > 0
            ? (nameof(TopK), FormattableString.Invariant($"{TopK}"), 0)
            : (nameof(TopP), FormattableString.Invariant($"{TopP}"), 1);
        throw new ArgumentException(
            $"{name} is {value} and Temperature is 0, which takes the most likely token and draws nothing. Set Temperature above 0 (1 " +
            $"leaves the model's probabilities) or {name} to {off}.", name);
    }
}
