using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Models.Families;

/// <summary>Mistral (Jiang et al., arXiv 2310.06825): a sliding window in every layer, and no bias whatever its config.json says.</summary>
internal static class Mistral
{
    /// <summary>What transformers takes where the key is absent; a null there means that there is no window.</summary>
    private const int DefaultWindow = 4096;

    public static DecoderSpec Read(JsonReader config) => DecoderKeys.Read(config) with
    {
        LayerPattern = [new LayerSpec(config.IsNull("sliding_window") ? null : config.Positive("sliding_window", DefaultWindow))],
    };
}
