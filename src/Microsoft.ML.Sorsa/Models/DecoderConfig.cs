using System.Text.Json;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models.Families;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>config.json of a model folder: the file itself, and what it says of the model.</summary>
internal sealed class DecoderConfig
{
    public const string FileName = "config.json";

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
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException(
                $"The model folder '{folder}' does not exist. "
                + $"Name a folder in the Hugging Face layout ({FileName}, {Checkpoint.SingleFile}, tokenizer.json).");
        }

        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            throw new FileNotFoundException(
                $"The model folder '{folder}' has no {FileName}. Name a folder in the Hugging Face layout.", path);
        }

        return Parse(File.ReadAllBytes(path), path);
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

        return new DecoderConfig(json, spec, endTokens);
    }

    /// <summary>The same file, understood otherwise: to see what a model computes.</summary>
    public DecoderConfig With(DecoderSpec spec) => new(Json, spec, EosTokenIds);

    /// <summary>config.json with the type of the weights set to what is written beside it.</summary>
    public byte[] JsonFor(torch.ScalarType type)
    {
        // Not with JsonReader: this is copied, known keys and unknown ones.
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
}
