using System.Text.Json;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models.Families;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>config.json of a model folder: the file itself, and what it says of the model.</summary>
internal sealed class DecoderConfig
{
    public const string FileName = ModelFolder.ConfigFile;

    private const string TieKey = "tie_word_embeddings";

    private DecoderConfig(byte[] json, DecoderSpec spec, IReadOnlyList<int> eosTokenIds)
    {
        Json = json;
        Spec = spec;
        EosTokenIds = eosTokenIds;
    }

    /// <summary>config.json itself, so that what is saved is what was read.</summary>
    public byte[] Json { get; }

    public DecoderSpec Spec { get; }

    /// <summary>
    /// The tokens that end a text. Training appends the tokenizer's own end token, and the first of these only where it names none.
    /// </summary>
    public IReadOnlyList<int> EosTokenIds { get; }

    /// <summary>Reads config.json of a model folder.</summary>
    public static DecoderConfig Load(string folder)
    {
        string path = ModelFolder.Config(folder);
        return Parse(RegularFile.ReadAllBytes(path), path);
    }

    /// <param name="json">The bytes of config.json.</param>
    /// <param name="source">What errors call them.</param>
    /// <exception cref="NotSupportedException">A family, or a variant of one, that is not implemented.</exception>
    /// <exception cref="InvalidDataException">Not JSON, a key missing, or a value that makes no sense.</exception>
    public static DecoderConfig Parse(byte[] json, string source)
    {
        JsonReader config = JsonReader.Parse(source, json);
        DecoderSpec spec = FamilyCatalog.Read(config, source);
        if (config.Has("quantization_config"))
        {
            throw new NotSupportedException($"'{source}' describes quantised weights (quantization_config). "
                + "Use the checkpoint that they were made from, in F32, F16 or BF16.");
        }

        IReadOnlyList<int> endTokens = config.Integers("eos_token_id");
        if (endTokens.Any(id => id < 0 || id >= spec.VocabularySize))
        {
            throw config.Bad($"eos_token_id {string.Join(", ", endTokens)} is not below vocab_size {spec.VocabularySize}");
        }

        var read = new DecoderConfig([.. Utf8Text.WithoutMark(json)], spec, endTokens);
        try
        {
            // It is written again after a training: what cannot be is refused before one.
            _ = read.JsonFor(torch.ScalarType.Float32);
        }
        catch (InvalidOperationException e)
        {
            throw new InvalidDataException($"'{source}' holds half a surrogate pair, which cannot be saved again. Correct it.", e);
        }

        return read;
    }

    /// <summary>The same file, understood otherwise: to see what a model computes.</summary>
    public DecoderConfig With(DecoderSpec spec) => new(Json, spec, EosTokenIds);

    /// <summary>The same with a head of its own, and a config.json that says so.</summary>
    public DecoderConfig Untied() => new(
        Rewritten((key, writer) =>
        {
            if (key == TieKey)
            {
                writer.WriteBoolean(key, false);
            }

            return key == TieKey;
        }),
        Spec with { TieWordEmbeddings = false },
        EosTokenIds);

    /// <summary>config.json with the type of the weights set to what is written beside it.</summary>
    public byte[] JsonFor(torch.ScalarType type)
    {
        string name = type switch
        {
            torch.ScalarType.Float64 => "float64",
            torch.ScalarType.Float16 => "float16",
            torch.ScalarType.BFloat16 => "bfloat16",
            _ => "float32",
        };
        return Rewritten((key, writer) =>
        {
            bool isType = key is "dtype" or "torch_dtype";
            if (isType)
            {
                writer.WriteString(key, name);
            }

            return isType;
        });
    }

    /// <summary>A copy, but for the keys that <paramref name="write"/> writes itself and says so.</summary>
    private byte[] Rewritten(Func<string, Utf8JsonWriter, bool> write)
    {
        // Not with JsonReader: this is copied, known keys and unknown ones.
        using JsonDocument document = JsonDocument.Parse(Json);
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (!write(property.Name, writer))
                {
                    property.WriteTo(writer);
                }
            }

            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }
}
