namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>What a tokenizer's file says, ready to run, whichever of the formats it had.</summary>
internal sealed record TokenizerPipeline
{
    /// <summary>The file that all this is from.</summary>
    public required string File { get; init; }

    /// <summary>The model's tokens, added ones not included unless the file repeats them there.</summary>
    public required Vocabulary Vocabulary { get; init; }

    /// <summary>The added tokens that the file itself names.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; init; } = [];

    /// <summary>What happens to a text between added tokens, before normalised ones are searched in it.</summary>
    public IReadOnlyList<TextRewrite> Normalizer { get; init; } = [];

    /// <summary>What happens to what is left then (Metaspace's marks).</summary>
    public IReadOnlyList<TextRewrite> Rewrites { get; init; } = [];

    /// <summary>What the chain ends with.</summary>
    public required BpeModel Model { get; init; }

    /// <summary>
    /// How the chain cuts a text into words, stage by stage: a regular expression, or one of <see cref="PreTokenizerReader"/>'s names.
    /// </summary>
    public IReadOnlyList<string> Stages { get; init; } = [];

    /// <summary>The score of each token of the vocabulary, where the file has scores: a higher one merges before a lower one.</summary>
    public IReadOnlyList<float>? Scores { get; init; }

    /// <summary>The chain from a rewritten text to ids.</summary>
    public required IPieceSink Encoder { get; init; }

    public required TokenDecoder Decoder { get; init; }

    /// <summary>Special tokens in front of every text; null where the file leaves that to tokenizer_config.json.</summary>
    public IReadOnlyList<int>? Prefix { get; init; }

    /// <summary>Special tokens behind every text; null where the file leaves that to tokenizer_config.json.</summary>
    public IReadOnlyList<int>? Suffix { get; init; }

    /// <summary>Whether BOS stands in front where neither file says so.</summary>
    public bool AddsBos { get; init; }

    /// <summary>The beginning-of-text token that the format itself implies, if there is such a token.</summary>
    public string? ImpliedBos { get; init; }

    /// <summary>The end-of-text token that the format itself implies, if there is such a token.</summary>
    public string? ImpliedEos { get; init; }
}
