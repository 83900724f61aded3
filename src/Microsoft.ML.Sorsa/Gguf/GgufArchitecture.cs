using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>What llama.cpp calls a family, and the keys that describe a model of it.</summary>
internal static class GgufArchitecture
{
    public const string Key = "general.architecture", TypeKey = "general.type", NameKey = "general.name";

    /// <summary>By the model_type of config.json.</summary>
    private static readonly Dictionary<string, string> s_names = new(StringComparer.Ordinal)
    {
        ["llama"] = "llama",

        // Its layers are Llama's; llama.cpp has no window for them.
        ["mistral"] = "llama",
    };

    /// <exception cref="NotSupportedException">llama.cpp has no architecture for the family.</exception>
    public static string Of(DecoderConfig config)
    {
        string family = JsonReader.Parse(DecoderConfig.FileName, config.Json).TextOf("model_type");
        return s_names.GetValueOrDefault(family) ?? throw new NotSupportedException(
            $"A model of the type '{family}' is not written as GGUF; {string.Join(" and ", s_names.Keys)} are. "
            + "Save it with SaveHuggingFace, and convert the folder with llama.cpp.");
    }

    /// <summary>Adds the sizes of a model, and how it counts positions.</summary>
    /// <param name="metadata">Where to.</param>
    /// <param name="config">The model's.</param>
    /// <param name="name">What to call the model.</param>
    /// <param name="type">What its matrices are in.</param>
    public static void Add(GgufMetadata metadata, DecoderConfig config, string name, GgufType type)
    {
        string architecture = Of(config);
        DecoderSpec spec = config.Spec;
        AttentionSpec attention = spec.Attention;
        metadata.Add(Key, architecture);
        metadata.Add(TypeKey, "model");
        metadata.Add(NameKey, name);
        metadata.Add("general.file_type", FileType(type));
        metadata.Add("general.quantization_version", 2u);
        Add("vocab_size", spec.VocabularySize);
        Add("context_length", ContextLength(spec));
        Add("embedding_length", spec.HiddenSize);
        Add("block_count", spec.LayerCount);
        Add("feed_forward_length", spec.FeedForward.IntermediateSize);
        Add("attention.head_count", attention.HeadCount);
        Add("attention.head_count_kv", attention.KeyValueHeadCount);
        Add("attention.key_length", attention.HeadDim);
        Add("attention.value_length", attention.HeadDim);
        metadata.Add($"{architecture}.attention.layer_norm_rms_epsilon", (float)spec.Norm.Epsilon);
        Add("rope.dimension_count", spec.Rope.HeadDim);
        metadata.Add($"{architecture}.rope.freq_base", (float)spec.Rope.Theta);
        AddScaling(metadata, architecture, spec.Rope);

        void Add(string key, int value) => metadata.Add($"{architecture}.{key}", (uint)value);
    }

    /// <summary>
    /// Positions for which llama.cpp computes what the model computes. It sees all of the past in every layer: beyond the window that
    /// would be another model.
    /// </summary>
    private static int ContextLength(DecoderSpec spec) => spec.LayerPattern
        .Select(layer => layer.SlidingWindow ?? spec.MaxPositions)
        .Append(spec.MaxPositions)
        .Min();

    /// <summary>
    /// Linear and YaRN are keys. Llama 3's stretch is a tensor (<see cref="ModelTensors"/>), and dynamic's is none within the positions of
    /// pre-training, which are the model's.
    /// </summary>
    private static void AddScaling(GgufMetadata metadata, string architecture, RopeConfig rope)
    {
        string scaling = $"{architecture}.rope.scaling.";
        if (rope.Type is not (RopeType.Linear or RopeType.Yarn))
        {
            return;
        }

        metadata.Add(scaling + "type", rope.Type == RopeType.Linear ? "linear" : "yarn");
        metadata.Add(scaling + "factor", (float)rope.Factor);
        if (rope.Type == RopeType.Yarn)
        {
            metadata.Add(scaling + "original_context_length", (uint)rope.OriginalMaxPositions);
            metadata.Add(scaling + "yarn_beta_fast", (float)rope.BetaFast);
            metadata.Add(scaling + "yarn_beta_slow", (float)rope.BetaSlow);
            if (rope.AttentionFactor is double factor)
            {
                // llama.cpp multiplies it with YaRN's own.
                metadata.Add(scaling + "attn_factor", (float)(factor / ((0.1 * Math.Log(rope.Factor)) + 1)));
            }
        }
    }

    /// <summary>llama.cpp's number for files of which most is in this type.</summary>
    private static uint FileType(GgufType type) => type switch
    {
        GgufType.F32 => 0,
        GgufType.F16 => 1,
        GgufType.Q8_0 => 7,
        _ => 32,
    };
}
