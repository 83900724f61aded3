namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>What a tokenizer's file says, ready to run, whichever of the formats it had.</summary>
internal sealed record TokenizerPipeline
{
    /// <summary>The model's tokens, added ones not included unless the file repeats them there.</summary>
    public required Vocabulary Vocabulary { get; init; }

    /// <summary>Tokens found in the text before it is rewritten.</summary>
    public required AddedTokens AddedTokens { get; init; }

    /// <summary>Tokens found afterwards, in what the first left over.</summary>
    public AddedTokens? LateAddedTokens { get; init; }

    public IReadOnlyList<TextRewrite> Rewrites { get; init; } = [];

    /// <summary>The chain from a rewritten text to ids.</summary>
    public required IPieceSink Encoder { get; init; }

    public required TokenDecoder Decoder { get; init; }

    /// <summary>Special tokens in front of every text; null where the file leaves that to tokenizer_config.json.</summary>
    public IReadOnlyList<int>? Prefix { get; init; }

    /// <summary>Special tokens behind every text; null where the file leaves that to tokenizer_config.json.</summary>
    public IReadOnlyList<int>? Suffix { get; init; }

    /// <summary>The beginning-of-text token that the format itself implies.</summary>
    public string? ImpliedBos { get; init; }

    /// <summary>The end-of-text token that the format itself implies.</summary>
    public string? ImpliedEos { get; init; }
}
