using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>Texts of config.json.</summary>
internal static class ConfigText
{
    /// <summary>As little as a Llama can say.</summary>
    public const string Minimal = """
        {"model_type": "llama", "vocab_size": 96, "hidden_size": 48, "intermediate_size": 56,
         "num_hidden_layers": 3, "num_attention_heads": 6}
        """;

    public static DecoderConfig Parse(string json) => DecoderConfig.Parse(Encoding.UTF8.GetBytes(json), "config.json");

    /// <summary>The object with a key set to a JSON text; a text, since numbers must stay as they are written.</summary>
    public static string With(string key, string value, string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        var properties = document.RootElement.EnumerateObject().Where(property => property.Name != key)
            .Select(property => $"{JsonSerializer.Serialize(property.Name)}: {property.Value.GetRawText()}");
        return $"{{{string.Join(", ", properties.Append($"\"{key}\": {value}"))}}}";
    }
}
