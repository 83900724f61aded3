using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>
/// Reads a JSON-lines file (https://jsonlines.org): UTF-8, one JSON object on each line, blank lines skipped, a byte order mark and
/// CRLF allowed; or a file of the other forms that <see cref="JsonRowText"/> knows. Every error names the file and the line.
/// </summary>
internal sealed class JsonLinesReader(string path) : IDisposable
{
    private readonly JsonRowText rows = new(path);
    private JsonDocument? row;

    /// <summary>Moves to the next row; false at the end of the file.</summary>
    public bool Read()
    {
        row?.Dispose();
        row = null;
        if (!rows.TryRead(out ReadOnlyMemory<byte> text))
        {
            return false;
        }

        row = Parse(text);
        return true;
    }

    /// <summary>The names of the current row's properties that are strings, in their order.</summary>
    public IReadOnlyList<string> StringProperties() =>
        [.. Row.EnumerateObject().Where(property => property.Value.ValueKind == JsonValueKind.String).Select(property => property.Name)];

    /// <summary>What to do where the rows are not the file's values but those of a list in one, as many data sets have them.</summary>
    public string? RowsInside => Row.EnumerateObject().Where(property =>
            property.Value.ValueKind == JsonValueKind.Array
            && property.Value.EnumerateArray().FirstOrDefault().ValueKind == JsonValueKind.Object)
        .Select(property => $"If the rows are the elements of '{property.Name}': write these to a file, one on each line or as one array")
        .FirstOrDefault();

    /// <summary>One property of the current row as text: a string's characters, a number or a boolean as the file spells it.</summary>
    public string Text(string property) => Text(Value(property), $"the property '{property}'", "a text column takes");

    /// <summary>A property that is an array, each element as text.</summary>
    public IReadOnlyList<string> Texts(string property) =>
        Value(property) is { ValueKind: JsonValueKind.Array } array
            ? [.. array.EnumerateArray().Select((element, index) => Text(
                element, string.Create(CultureInfo.InvariantCulture, $"the element {index} of '{property}'"), "it must be"))]
            : throw rows.Error(
                $"the property '{property}' is of the JSON type {Name(Value(property).ValueKind)}; it must be an array of texts");

    /// <summary>A property that is a whole number.</summary>
    public int Integer(string property) =>
        Value(property) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out int value)
            ? value
            : throw rows.Error($"the property '{property}' is {NameList.Short(Value(property).GetRawText())}; it must be a whole number");

    /// <summary>An error of the current row.</summary>
    /// <param name="what">What is wrong, without a full stop.</param>
    public InvalidDataException Error(string what) => rows.Error(what);

    public void Dispose()
    {
        row?.Dispose();
        rows.Dispose();
    }

    private JsonElement Row => (row ?? throw new InvalidOperationException("The reader is not on a row.")).RootElement;

    private JsonElement Value(string property) => Row.TryGetProperty(property, out JsonElement value)
        ? value
        : throw rows.Error(
            $"there is no property '{property}', only {NameList.Quoted(Row.EnumerateObject().Select(p => p.Name))}. "
            + (RowsInside ?? "Every row must have every column that is read: correct the row or the column's name (upper and lower "
                + "case differ)"));

    private string Text(JsonElement value, string where, string needs) => value.ValueKind switch
    {
        JsonValueKind.String => Characters(value, where),
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
        _ => throw rows.Error($"{where} is of the JSON type {Name(value.ValueKind)}; {needs} a string, a number or a boolean"),
    };

    // Not with JsonReader: each row is a document of its own, and errors name the line and the byte.
    private JsonDocument Parse(ReadOnlyMemory<byte> text)
    {
        if (!Utf8.IsValid(text.Span))
        {
            throw rows.Error("the text is not UTF-8. Save the file as UTF-8");
        }

        JsonDocument parsed;
        try
        {
            parsed = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException fault) when (fault is { LineNumber: { } line, BytePositionInLine: { } at })
        {
            throw rows.Error(rows.IsLines
                ? $"this is not valid JSON at byte {at + 1} of the line. A line holds one whole JSON object"
                : $"the value that begins here is not valid JSON at its byte {LineStart(text.Span, line) + at + 1}. Correct it", fault);
        }
        catch (JsonException fault)
        {
            // The one fault without a place.
            throw rows.Error($"an object has the same property twice: {fault.Message.TrimEnd('.')}", fault);
        }
        catch (InvalidOperationException fault)
        {
            throw HalfSurrogatePair("a property's name", fault);
        }

        if (parsed.RootElement.ValueKind == JsonValueKind.Object)
        {
            return parsed;
        }

        using (parsed)
        {
            string kind = Name(parsed.RootElement.ValueKind);
            throw rows.Error(rows.IsLines
                ? $"the line holds JSON of the type {kind}. A line holds one JSON object"
                : $"an element of the JSON array is of the type {kind}. Each must be an object, one row");
        }
    }

    /// <summary>Where a line of a row's text begins, the first of which is line 0.</summary>
    private static int LineStart(ReadOnlySpan<byte> text, long line)
    {
        int start = 0;
        for (; line > 0; line--)
        {
            start += text[start..].IndexOf((byte)'\n') + 1;
        }

        return start;
    }

    private string Characters(JsonElement value, string where)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException fault)
        {
            throw HalfSurrogatePair(where, fault);
        }
    }

    private InvalidDataException HalfSurrogatePair(string where, InvalidOperationException fault) =>
        rows.Error($"{where} has an escape that is half of a surrogate pair. Correct the text", fault);

    private static string Name(JsonValueKind kind) => kind switch
    {
        JsonValueKind.True or JsonValueKind.False => "boolean",
        _ => kind.ToString().ToLowerInvariant(),
    };
}
