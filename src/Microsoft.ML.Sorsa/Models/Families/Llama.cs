using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Models.Families;

/// <summary>Llama 1 to 3 (Touvron et al., arXiv 2302.13971 and 2307.09288), and what has its layers, such as SmolLM2.</summary>
internal static class Llama
{
    public static DecoderSpec Read(JsonReader config)
    {
        DecoderSpec spec = DecoderKeys.Read(config);
        bool bias = config.FlagOf("attention_bias");
        return spec with
        {
            Attention = spec.Attention with { InputBias = bias, OutputBias = bias },
            FeedForward = spec.FeedForward with { Bias = config.FlagOf("mlp_bias") },
        };
    }
}
