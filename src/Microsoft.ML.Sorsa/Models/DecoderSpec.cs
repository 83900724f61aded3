namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// What a decoder computes, in numbers: the layers read nothing else, and none of them knows which family it belongs to. Where families
/// differ there is a small record; whoever needs another difference adds a field to one of them, and the layer that reads it.
/// </summary>
internal sealed record DecoderSpec
{
    public required int VocabularySize { get; init; }

    public required int HiddenSize { get; init; }

    /// <summary>The tokens of the longest text.</summary>
    public required int MaxPositions { get; init; }

    public required AttentionSpec Attention { get; init; }

    public required FeedForwardSpec FeedForward { get; init; }

    public required NormSpec Norm { get; init; }

    public required RopeConfig Rope { get; init; }

    public required int LayerCount { get; init; }

    /// <summary>The layers one after the other, at least one; where there are fewer than <see cref="LayerCount"/>, they repeat.</summary>
    public IReadOnlyList<LayerSpec> LayerPattern { get; init; } = [default];

    /// <summary>The head's weight is the embedding's.</summary>
    public required bool TieWordEmbeddings { get; init; }

    public LayerSpec Layer(int index) => LayerPattern[index % LayerPattern.Count];

    /// <summary>The same with as few layers as hold every kind: enough where only the shapes of projections are asked for.</summary>
    public DecoderSpec WithEachKindOfLayer() => this with { LayerCount = Math.Min(LayerCount, LayerPattern.Count) };
}

/// <summary>Self-attention with grouped queries.</summary>
/// <param name="HeadCount">Heads of queries.</param>
/// <param name="KeyValueHeadCount">Heads of keys and values, each for HeadCount / KeyValueHeadCount heads of queries.</param>
/// <param name="HeadDim">d: the numbers of a head.</param>
/// <param name="InputBias">q_proj, k_proj and v_proj have a bias.</param>
/// <param name="OutputBias">o_proj has a bias.</param>
internal sealed record AttentionSpec(int HeadCount, int KeyValueHeadCount, int HeadDim, bool InputBias = false, bool OutputBias = false);

/// <summary>The gated feed-forward part.</summary>
/// <param name="IntermediateSize">Between up and down.</param>
/// <param name="Activation">What the gate goes through.</param>
/// <param name="Bias">Its three projections have a bias.</param>
internal sealed record FeedForwardSpec(int IntermediateSize, Activation Activation, bool Bias = false);

/// <summary>Every normalisation of the model.</summary>
/// <param name="Epsilon">ε in <see cref="RmsNorm"/>.</param>
internal sealed record NormSpec(double Epsilon);

/// <summary>Where one layer may differ from the next.</summary>
/// <param name="SlidingWindow">Query i sees the keys j with 0 ≤ i − j &lt; window; null: all of the past.</param>
internal readonly record struct LayerSpec(int? SlidingWindow);

/// <summary>The function of a gate.</summary>
internal enum Activation
{
    /// <summary>x · σ(x).</summary>
    Silu,
}
