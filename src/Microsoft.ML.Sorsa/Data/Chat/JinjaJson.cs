using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>
/// JSON as Jinja's <c>tojson</c> writes it in transformers, which is as Python does: blanks behind commas and colons, characters beyond
/// ASCII and those of HTML as they are. Numbers stay as they were written.
/// </summary>
internal static class JinjaJson
{
    /// <param name="value">Any value.</param>
    /// <param name="indent">Blanks by which each level stands further right, on lines of its own; null: all on one line.</param>
    public static string Write(JsonElement value, int? indent = null)
    {
        var text = new StringBuilder();
        Append(text, value, indent, level: 1);
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

    private static void Append(StringBuilder text, JsonElement value, int? indent, int level)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                Enclose('{', value.EnumerateObject(), '}', property =>
                {
                    text.Append(Write(property.Name)).Append(": ");
                    Append(text, property.Value, indent, level + 1);
                });
                break;
            case JsonValueKind.Array:
                Enclose('[', value.EnumerateArray(), ']', item => Append(text, item, indent, level + 1));
                break;
            case JsonValueKind.String:
                text.Append(Write(value.GetString()!));
                break;
            default:
                text.Append(value.GetRawText());
                break;
        }

        void Enclose<T>(char open, IEnumerable<T> items, char close, Action<T> append)
        {
            text.Append(open);
            bool any = false;
            foreach (T item in items)
            {
                text.Append(!any ? "" : indent is null ? ", " : ",").Append(Line(level));
                any = true;
                append(item);
            }

            text.Append(any ? Line(level - 1) : "").Append(close);
        }

        string Line(int depth) => indent is { } blanks ? "\n" + new string(' ', blanks * depth) : "";
    }
}
