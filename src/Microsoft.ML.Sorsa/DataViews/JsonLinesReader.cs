using System.Text.Json;
using System.Text.Unicode;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>
/// Reads a JSON-lines file (https://jsonlines.org): UTF-8, one JSON object on each line, blank lines skipped, a byte order mark and
/// CRLF allowed. Every error names the file and the line.
/// </summary>
internal sealed class JsonLinesReader : IDisposable
{
    private readonly string path;
    private readonly FileStream file;
    private byte[] buffer = new byte[64 * 1024];
    private int start;
    private int end;
    private long line;
    private JsonDocument? row;

    public JsonLinesReader(string path)
    {
        this.path = path;
        file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
    }

    /// <summary>Moves to the next row; false at the end of the file.</summary>
    public bool Read()
    {
        row?.Dispose();
        row = null;
        while (TryReadLine(out ReadOnlyMemory<byte> text))
        {
            line++;
            if (text.Span.IndexOfAnyExcept(" \t\r"u8) >= 0)
            {
                row = Parse(text);
                return true;
            }
        }

        return false;
    }

    /// <summary>The names of the current row's properties that are strings, in their order.</summary>
    public IReadOnlyList<string> StringProperties() =>
        [.. Row.EnumerateObject().Where(property => property.Value.ValueKind == JsonValueKind.String).Select(property => property.Name)];

    /// <summary>One property of the current row as text: a string's characters, a number or a boolean as the file spells it.</summary>
    public string Text(string property)
    {
        if (!Row.TryGetProperty(property, out JsonElement value))
        {
            throw Error(
                $"there is no property '{property}', only {string.Join(", ", Row.EnumerateObject().Select(p => $"'{p.Name}'"))}. " +
                "Every row must have every column that is read: correct the row or the column's name (upper and lower case differ)");
        }

        return value.ValueKind switch
        {
            JsonValueKind.String => Characters(value, property),
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
            _ => throw Error(
                $"the property '{property}' is of the JSON type {Name(value.ValueKind)}; " +
                "a text column takes a string, a number or a boolean"),
        };
    }

    public void Dispose()
    {
        row?.Dispose();
        file.Dispose();
    }

    private JsonElement Row => (row ?? throw new InvalidOperationException("The reader is not on a row.")).RootElement;

    // Not with JsonReader: each line is a document of its own, and errors name the line and the byte.
    private JsonDocument Parse(ReadOnlyMemory<byte> text)
    {
        if (!Utf8.IsValid(text.Span))
        {
            throw Error("the text is not UTF-8. Save the file as UTF-8");
        }

        JsonDocument parsed;
        try
        {
            parsed = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException fault) when (fault.BytePositionInLine is { } at)
        {
            throw Error($"this is not valid JSON at byte {at + 1} of the line. A line holds one whole JSON object", fault);
        }
        catch (JsonException fault)
        {
            // The one fault without a place.
            throw Error($"an object has the same property twice: {fault.Message.TrimEnd('.')}", fault);
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
            throw Error($"the line holds JSON of the type {Name(parsed.RootElement.ValueKind)}. A line holds one JSON object");
        }
    }

    private string Characters(JsonElement value, string property)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException fault)
        {
            throw HalfSurrogatePair($"the property '{property}'", fault);
        }
    }

    /// <summary>The bytes up to the next line feed, without it; they stay valid until the next call.</summary>
    private bool TryReadLine(out ReadOnlyMemory<byte> text)
    {
        int seen = 0;
        while (true)
        {
            int length = buffer.AsSpan(start + seen, end - start - seen).IndexOf((byte)'\n');
            if (length >= 0)
            {
                text = Line(seen + length);
                start += seen + length + 1;
                return true;
            }

            seen = end - start;
            if (!Fill())
            {
                text = Line(seen);
                start = end;
                return seen > 0;
            }
        }
    }

    private ReadOnlyMemory<byte> Line(int length)
    {
        ReadOnlyMemory<byte> text = buffer.AsMemory(start, length);
        return line == 0 && text.Span.StartsWith("\uFEFF"u8) ? text[3..] : text;
    }

    private bool Fill()
    {
        byte[] next = start == 0 && end == buffer.Length ? new byte[2 * buffer.Length] : buffer;
        Buffer.BlockCopy(buffer, start, next, 0, end - start);
        (buffer, start, end) = (next, 0, end - start);
        int read = file.Read(buffer, end, buffer.Length - end);
        end += read;
        return read > 0;
    }

    private InvalidDataException HalfSurrogatePair(string where, InvalidOperationException fault) =>
        Error($"{where} has an escape that is half of a surrogate pair. Correct the text", fault);

    private InvalidDataException Error(string what, Exception? cause = null) => new($"'{path}', line {line}: {what}.", cause);

    private static string Name(JsonValueKind kind) => kind switch
    {
        JsonValueKind.True or JsonValueKind.False => "boolean",
        _ => kind.ToString().ToLowerInvariant(),
    };
}
