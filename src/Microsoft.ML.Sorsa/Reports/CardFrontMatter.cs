using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Checkpoints;

namespace Microsoft.ML.Sorsa.Reports;

/// <summary>What Hugging Face reads of a model card: YAML between two lines of "---".</summary>
internal static partial class CardFrontMatter
{
    /// <summary>Words that YAML takes for something else than a text.</summary>
    private static readonly string[] s_words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

    private static readonly JsonSerializerOptions s_quoted = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="origin">The base; null: not known.</param>
    /// <param name="relation">What the folder is to it: finetune, adapter.</param>
    /// <param name="library">Which library loads it.</param>
    /// <param name="tags">What it is found by.</param>
    public static string Of(ModelOrigin? origin, string relation, string library, IEnumerable<string> tags)
    {
        ModelLicense license = origin?.License ?? ModelLicense.Unknown;
        var yaml = new StringBuilder("---\n");
        if (origin is not null)
        {
            Add("base_model", origin.Name);
            Add("base_model_relation", relation);
        }

        if (license.Ids is [var id])
        {
            Add("license", id);
        }
        else
        {
            AddList("license", license.Ids);
        }

        if (license.Ids.Contains(ModelLicense.Other, StringComparer.Ordinal))
        {
            Add("license_name", license.Name);
            Add("license_link", license.Link);
        }

        Add("library_name", library);
        Add("pipeline_tag", "text-generation");
        AddList("tags", tags);
        return yaml.Append("---\n").ToString();

        void Add(string key, string? value)
        {
            if (value is not null)
            {
                yaml.Append(key).Append(": ").Append(Scalar(value)).Append('\n');
            }
        }

        void AddList(string key, IEnumerable<string> values)
        {
            yaml.Append(key).Append(":\n");
            foreach (string value in values)
            {
                yaml.Append("- ").Append(Scalar(value)).Append('\n');
            }
        }
    }

    /// <summary>Plain words as they are; what is left in quotation marks, where YAML reads JSON's text.</summary>
    private static string Scalar(string text) =>
        PlainPattern.IsMatch(text) && !s_words.Contains(text, StringComparer.OrdinalIgnoreCase)
            ? text
            : JsonSerializer.Serialize(text, s_quoted);

    [GeneratedRegex(@"\A[A-Za-z][A-Za-z0-9._/-]*\z")]
    private static partial Regex PlainPattern { get; }
}
