using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>How the models of a chat template write calls of tools.</summary>
/// <param name="Openings">An answer that begins with one of these, white space aside, is a call.</param>
/// <param name="Read">The calls in such an answer, all of it; null: it is none after all, or is not whole.</param>
internal sealed record ToolFormat(IReadOnlyList<string> Openings, Func<string, IReadOnlyList<ChatToolCall>?> Read)
{
    /// <summary>Whether an answer that begins so is a call; null: more of it must be seen.</summary>
    public bool? IsCall(string beginning)
    {
        string start = beginning.TrimStart();
        return Openings.Any(opening => start.StartsWith(opening, StringComparison.Ordinal)) ? true
            : Openings.Any(opening => opening.StartsWith(start, StringComparison.Ordinal)) ? null
            : false;
    }
}

/// <summary>JSON as Jinja's <c>tojson</c> writes it in transformers: Python's, with blanks behind commas and colons, beyond ASCII too.
/// </summary>
internal static class JinjaJson
{
    public static string Write(JsonElement value)
    {
        var text = new StringBuilder();
        Append(text, value);
        return text.ToString();
    }

    public static string Write(string value)
    {
        var text = new StringBuilder("\"");
        foreach (char c in value)
        {
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                < ' ' => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => text.Append(c),
            };
        }

        return text.Append('"').ToString();
    }

    private static void Append(StringBuilder text, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                text.Append('{');
                foreach ((int at, JsonProperty property) in value.EnumerateObject().Index())
                {
                    text.Append(at > 0 ? ", " : "").Append(Write(property.Name)).Append(": ");
                    Append(text, property.Value);
                }

                text.Append('}');
                break;
            case JsonValueKind.Array:
                text.Append('[');
                foreach ((int at, JsonElement item) in value.EnumerateArray().Index())
                {
                    text.Append(at > 0 ? ", " : "");
                    Append(text, item);
                }

                text.Append(']');
                break;
            case JsonValueKind.String:
                text.Append(Write(value.GetString()!));
                break;
            default:
                text.Append(value.GetRawText());
                break;
        }
    }
}
