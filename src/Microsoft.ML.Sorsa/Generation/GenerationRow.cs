using Microsoft.ML.Sorsa.Generation.Sampling;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>One prompt and the tokens that were generated for it so far.</summary>
/// <param name="prompt">Its token ids.</param>
/// <param name="limit">How many tokens may follow.</param>
/// <param name="seed">See <see cref="GenerationOptions.Seed"/>.</param>
/// <param name="text">Takes the new tokens and says when a stop string is met; null: only ids are wanted.</param>
internal sealed class GenerationRow(int[] prompt, int limit, int seed, GeneratedText? text)
{
    private readonly RowRandom _random = new(seed, prompt);
    private readonly HashSet<int> _seen = [.. prompt];
    private readonly List<int> _newIds = [];

    public int[] Prompt => prompt;

    public int Limit => limit;

    /// <summary>The end token included, where it came.</summary>
    public IReadOnlyList<int> NewIds => _newIds;

    public GeneratedText? Text => text;

    /// <summary>Null: more is to come.</summary>
    public StopReason? Stopped { get; private set; }

    /// <summary>Chooses the next token.</summary>
    /// <param name="logits">Its scores; used up.</param>
    /// <param name="sampler">How it is chosen.</param>
    /// <param name="endTokens">Ids that end the text.</param>
    public void Extend(Span<float> logits, TokenSampler sampler, IReadOnlySet<int> endTokens)
    {
        int id = sampler.Choose(logits, _seen, _random.Uniform(_newIds.Count));
        _newIds.Add(id);
        _seen.Add(id);
        if (endTokens.Contains(id))
        {
            Stopped = StopReason.EndToken;
        }
        else
        {
            text?.Push(id);
            Stopped = text is { Stopped: true } ? StopReason.StopString : _newIds.Count == limit ? StopReason.Length : null;
        }

        if (Stopped is not null)
        {
            text?.Complete();
            if (text is { Stopped: true })
            {
                Stopped = StopReason.StopString;
            }
        }
    }
}

/// <summary>Why a text ended.</summary>
internal enum StopReason
{
    /// <summary>The model gave an end token.</summary>
    EndToken,

    /// <summary>One of <see cref="GenerationOptions.StopStrings"/> was complete.</summary>
    StopString,

    /// <summary><see cref="GenerationOptions.MaxNewTokens"/>, or the model's positions, are used up.</summary>
    Length,
}
