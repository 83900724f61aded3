using System.Text.Json;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>What config.json says of a Llama or Mistral decoder, in the classic keys and in those of transformers 5.</summary>
internal sealed class DecoderConfig
{
    /// <summary>What a Mistral without the key has, as in transformers; a null there means none.</summary>
    private const int MistralWindow = 4096;

    private static readonly string[] Architectures = ["llama", "mistral"];

    private DecoderConfig(byte[] json) => Json = json;

    /// <summary>config.json itself, so that what is saved is what was read.</summary>
    public byte[] Json { get; }

    public required string ModelType { get; init; }

    public required int VocabularySize { get; init; }

    public required int HiddenSize { get; init; }

    public required int IntermediateSize { get; init; }

    public required int LayerCount { get; init; }

    public required int HeadCount { get; init; }

    /// <summary>Heads of keys and values; each serves HeadCount / KeyValueHeadCount query heads.</summary>
    public required int KeyValueHeadCount { get; init; }

    public required int HeadDim { get; init; }

    public required int MaxPositions { get; init; }

    public required double RmsNormEpsilon { get; init; }

    public required RopeConfig Rope { get; init; }

    /// <summary>Query i sees the keys j with 0 ≤ i − j &lt; window (Mistral); null: all of the past.</summary>
    public required int? SlidingWindow { get; init; }

    public required bool AttentionBias { get; init; }

    public required bool MlpBias { get; init; }

    public required bool TieWordEmbeddings { get; init; }

    /// <summary>The tokens that end a text. Training appends the tokenizer's own end token, and the first of these only where it names none.</summary>
    public required IReadOnlyList<int> EosTokenIds { get; init; }

    /// <summary>Reads config.json of a model folder.</summary>
    public static DecoderConfig Load(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"The model folder '{folder}' does not exist. Name a folder in the Hugging Face layout (config.json, model.safetensors, tokenizer.json).");
        }

        string path = Path.Combine(folder, "config.json");
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"The model folder '{folder}' has no config.json. Name a folder in the Hugging Face layout.", path);
        }

        return Parse(File.ReadAllBytes(path), path);
    }

    /// <param name="json">The bytes of config.json.</param>
    /// <param name="source">What errors call them.</param>
    /// <exception cref="NotSupportedException">Another architecture, or a variant of these that is not implemented.</exception>
    /// <exception cref="InvalidDataException">Not JSON, a key missing, or a value that makes no sense.</exception>
    public static DecoderConfig Parse(byte[] json, string source)
    {
        using ConfigReader config = new(json, source);
        string modelType = config.Text("model_type");
        if (!Architectures.Contains(modelType, StringComparer.Ordinal))
        {
            throw new NotSupportedException($"'{source}' describes a model of type '{modelType}'; the types that are implemented are {string.Join(" and ", Architectures)}.");
        }

        if (config.Text("hidden_act", "silu") is var activation and not "silu")
        {
            throw new NotSupportedException($"'{source}' asks for the activation '{activation}'; Llama and Mistral use 'silu', the one that is implemented.");
        }

        if (config.Has("quantization_config"))
        {
            throw new NotSupportedException($"'{source}' describes quantised weights (quantization_config). Use the checkpoint that they were made from, in F32, F16 or BF16.");
        }

        bool llama = modelType == "llama";
        int hidden = config.Positive("hidden_size");
        int heads = config.Positive("num_attention_heads");
        int keyValueHeads = config.Positive("num_key_value_heads", heads);
        int maxPositions = config.Positive("max_position_embeddings", 2048);
        if (heads % keyValueHeads != 0)
        {
            throw config.Bad($"num_attention_heads {heads} is not a multiple of num_key_value_heads {keyValueHeads}");
        }

        int vocabulary = config.Positive("vocab_size");
        IReadOnlyList<int> endTokens = config.Integers("eos_token_id");
        if (endTokens.Any(id => id < 0 || id >= vocabulary))
        {
            throw config.Bad($"eos_token_id {string.Join(", ", endTokens)} is not below vocab_size {vocabulary}");
        }

        int headDim = config.Positive("head_dim", hidden / heads);
        if (headDim % 2 != 0)
        {
            throw config.Bad($"head_dim {headDim} is odd, and rotary embeddings turn pairs");
        }

        return new DecoderConfig(json)
        {
            ModelType = modelType,
            VocabularySize = vocabulary,
            HiddenSize = hidden,
            IntermediateSize = config.Positive("intermediate_size"),
            LayerCount = config.Positive("num_hidden_layers"),
            HeadCount = heads,
            KeyValueHeadCount = keyValueHeads,
            HeadDim = headDim,
            MaxPositions = maxPositions,
            RmsNormEpsilon = config.Number("rms_norm_eps", 1e-6),
            Rope = RopeConfig.Read(config, headDim, maxPositions),
            SlidingWindow = llama || config.IsNull("sliding_window") ? null : config.Positive("sliding_window", MistralWindow),
            AttentionBias = llama && config.Flag("attention_bias"),
            MlpBias = llama && config.Flag("mlp_bias"),
            TieWordEmbeddings = config.Flag("tie_word_embeddings"),
            EosTokenIds = endTokens,
        };
    }

    /// <summary>config.json with the type of the weights set to what is written beside it.</summary>
    public byte[] JsonFor(torch.ScalarType type)
    {
        using JsonDocument document = JsonDocument.Parse(Json);
        string name = type switch
        {
            torch.ScalarType.Float64 => "float64",
            torch.ScalarType.Float16 => "float16",
            torch.ScalarType.BFloat16 => "bfloat16",
            _ => "float32",
        };
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (property.Name is "dtype" or "torch_dtype")
                {
                    writer.WriteString(property.Name, name);
                }
                else
                {
                    property.WriteTo(writer);
                }
            }

            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }

    /// <summary>The names and shapes of the checkpoint that this configuration describes.</summary>
    public SortedDictionary<string, long[]> ExpectedTensors()
    {
        var shapes = new SortedDictionary<string, long[]>(StringComparer.Ordinal)
        {
            ["model.embed_tokens.weight"] = [VocabularySize, HiddenSize],
            ["model.norm.weight"] = [HiddenSize],
        };
        if (!TieWordEmbeddings)
        {
            shapes["lm_head.weight"] = [VocabularySize, HiddenSize];
        }

        for (int layer = 0; layer < LayerCount; layer++)
        {
            string prefix = FormattableString.Invariant($"model.layers.{layer}.");
            shapes[prefix + "input_layernorm.weight"] = [HiddenSize];
            shapes[prefix + "post_attention_layernorm.weight"] = [HiddenSize];
            Add(prefix + "self_attn.q_proj", HeadCount * HeadDim, HiddenSize, AttentionBias);
            Add(prefix + "self_attn.k_proj", KeyValueHeadCount * HeadDim, HiddenSize, AttentionBias);
            Add(prefix + "self_attn.v_proj", KeyValueHeadCount * HeadDim, HiddenSize, AttentionBias);
            Add(prefix + "self_attn.o_proj", HiddenSize, HeadCount * HeadDim, AttentionBias);
            Add(prefix + "mlp.gate_proj", IntermediateSize, HiddenSize, MlpBias);
            Add(prefix + "mlp.up_proj", IntermediateSize, HiddenSize, MlpBias);
            Add(prefix + "mlp.down_proj", HiddenSize, IntermediateSize, MlpBias);
        }

        return shapes;

        void Add(string name, long rows, long columns, bool bias)
        {
            shapes[name + ".weight"] = [rows, columns];
            if (bias)
            {
                shapes[name + ".bias"] = [rows];
            }
        }
    }
}
