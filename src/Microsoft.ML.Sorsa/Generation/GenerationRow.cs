using Microsoft.ML.Sorsa.Generation.Sampling;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>One prompt and the tokens that were generated for it so far.</summary>
/// <param name="prompt">Its token ids.</param>
/// <param name="limit">How many tokens may follow.</param>
/// <param name="seed">See <see cref="GenerationOptions.Seed"/>.</param>
/// <param name="sampler">How a token is chosen.</param>
/// <param name="endTokens">Ids that end the text.</param>
/// <param name="text">Takes the new tokens and says when a stop string is met; null: only ids are wanted.</param>
internal sealed class GenerationRow(
    int[] prompt, int limit, long seed, TokenSampler sampler, IReadOnlySet<int> endTokens, GeneratedText? text)
{
    private readonly RowRandom _random = new(seed, prompt);
    private readonly HashSet<int> _seen = [.. prompt];
    private readonly Dictionary<int, int> _counts = [];
    private readonly List<int> _newIds = [];

    public int[] Prompt => prompt;

    public int Limit => limit;

    /// <summary>The end token included, where it came.</summary>
    public IReadOnlyList<int> NewIds => _newIds;

    public GeneratedText? Text => text;

    /// <summary>Null: more is to come.</summary>
    public StopReason? Stopped { get; private set; }

    /// <summary>The tokens that the model has read: all but the newest.</summary>
    public int[] ReadIds => [.. prompt, .. _newIds.SkipLast(1)];

    /// <summary>The next token is that of the highest score, whatever else is known.</summary>
    public bool TakesHighest => sampler.TakesHighest;

    /// <summary>Chooses the next token.</summary>
    /// <param name="logits">Its scores; used up.</param>
    public void Extend(Span<float> logits) => Extend(sampler.Choose(logits, _seen, _random.Uniform(_newIds.Count), _counts));

    /// <summary>Takes the next token, where <see cref="TakesHighest"/>.</summary>
    /// <param name="highest">It, and its score.</param>
    public void Extend((int Id, float Score) highest)
    {
        TokenSampler.RequireFinite(highest.Score);
        Extend(highest.Id);
    }

    private void Extend(int id)
    {
        _newIds.Add(id);
        _seen.Add(id);
        _counts[id] = _counts.GetValueOrDefault(id) + 1;
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
