using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>The two parts of a <see cref="CausalLM"/> and their names in a checkpoint.</summary>
internal static class DecoderWithHead
{
    public const string DecoderName = "model", HeadName = "lm_head";

    /// <summary>The names of the two weights that may be tied.</summary>
    public const string HeadWeight = $"{HeadName}.weight", EmbeddingWeight = $"{DecoderName}.{Decoder.EmbeddingName}.weight";

    /// <summary>Both, over these weights; no head where it is the embedding.</summary>
    public static (Decoder Decoder, Linear? Head) Build(DecoderSpec spec, WeightSource weights) => (
        new Decoder(spec, DecoderName, weights),
        spec.TieWordEmbeddings ? null : nn.Linear(weights.Get(HeadWeight, spec.VocabularySize, spec.HiddenSize)));

    /// <summary>What a model of these sizes consists of; no weight is allocated.</summary>
    public static DecoderLayout Layout(DecoderSpec spec)
    {
        var recorded = new RecordedWeights();
        (Decoder decoder, _) = Build(spec, recorded);
        return new DecoderLayout(recorded.Shapes, [.. decoder.Projections.Select(
            slot => new ProjectionShape(slot.Path, slot.Name, recorded.Shapes[slot.WeightName]))]);
    }
}
