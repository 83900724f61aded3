using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Files;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>One tensor of a safetensors file: <paramref name="Begin"/> and <paramref name="End"/> are bytes behind the header.</summary>
internal sealed record SafetensorsEntry(string Name, SafetensorsType Type, long[] Shape, long Begin, long End)
{
    public long Length => End - Begin;

    /// <summary>The tensor that stands on its bytes: of a type that no tensor here can have, the bytes as they are.</summary>
    public (ScalarType Type, long[] Shape) Tensor => Type.Type is { } type ? (type, Shape) : (ScalarType.Byte, [Length]);
}

/// <summary>
/// The header of a safetensors file: eight bytes of length (little endian), that many bytes of JSON, then the tensors' bytes.
/// Everything in it is checked before a byte of data is looked at: a header comes from anywhere.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The largest header that is read, as in the format's own library.</summary>
    public const int MaxLength = 100_000_000;

    /// <summary>As much of a file as shows what it is, where it is none of these.</summary>
    private const int ShownLength = 512;

    private SafetensorsHeader(long dataOffset, IReadOnlyList<SafetensorsEntry> entries)
    {
        DataOffset = dataOffset;
        Entries = entries;
    }

    /// <summary>Where the tensors' bytes begin.</summary>
    public long DataOffset { get; }

    /// <summary>The tensors in the order of their bytes.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries { get; }

    /// <summary>Reads the header and leaves the stream at the first tensor's first byte.</summary>
    /// <param name="stream">The file from its beginning.</param>
    /// <param name="length">The length of the whole file in bytes.</param>
    /// <param name="source">What errors call the file.</param>
    /// <exception cref="InvalidDataException">
    /// The file is cut short, its header is not what the format demands, or it is another sort of file.
    /// </exception>
    public static SafetensorsHeader Read(Stream stream, long length, string source)
    {
        var prefix = new byte[Math.Clamp(length, 0, 8)];
        stream.ReadExactly(prefix);
        if (length < 8)
        {
            WrongFile.Verify(source, prefix);
            throw Bad(source, $"it has {length} bytes, and a safetensors file has at least 8");
        }

        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        bool isPossible = headerLength <= MaxLength && (long)headerLength <= length - 8;
        var json = new byte[isPossible && headerLength > 0 ? (long)headerLength : Math.Min(length - 8, ShownLength)];
        int read = stream.ReadAtLeast(json, json.Length, throwOnEndOfStream: isPossible);
        if (!isPossible || json is not [(byte)'{', ..])
        {
            byte[] start = [.. prefix, .. json.AsSpan(0, Math.Min(read, ShownLength))];
            WrongFile.Verify(source, start);
            if (prefix.All(letter => letter is >= (byte)' ' and <= (byte)'~' or (byte)'\n' or (byte)'\r' or (byte)'\t'))
            {
                string text = Encoding.UTF8.GetString(start.AsSpan(0, Math.Min(start.Length, 60))).ReplaceLineEndings(" ");
                throw Bad(source, $"it is a text that begins with '{text}'");
            }
        }

        return isPossible ? Parse(headerLength > 0 ? json : [], length - 8 - (long)headerLength, source) : throw Bad(source,
            $"its header claims {headerLength} bytes, and the file holds {length - 8} behind the length (at most {MaxLength} are read)");
    }

    /// <summary>The header's bytes for these entries, padded so that the data begins at a multiple of eight.</summary>
    public static byte[] Write(IEnumerable<SafetensorsEntry> entries)
    {
        using var buffer = new MemoryStream();
        buffer.Write(stackalloc byte[8]);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            json.WriteString("format", "pt");
            json.WriteEndObject();
            foreach (SafetensorsEntry entry in entries)
            {
                json.WriteStartObject(entry.Name);
                json.WriteString("dtype", entry.Type.Name);
                WriteArray(json, "shape", entry.Shape);
                WriteArray(json, "data_offsets", [entry.Begin, entry.End]);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        while (buffer.Length % 8 != 0)
        {
            buffer.WriteByte((byte)' ');
        }

        byte[] bytes = buffer.ToArray();
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)bytes.Length - 8);
        return bytes;
    }

    // Not with JsonReader: the numbers have 64 bits, and every fault means that the file is damaged, which is what the errors say.
    private static SafetensorsHeader Parse(byte[] json, long dataLength, string source)
    {
        var entries = new List<SafetensorsEntry>();
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            var names = new HashSet<string>(StringComparer.Ordinal);
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (!names.Add(property.Name))
                {
                    throw Bad(source, $"tensor '{property.Name}' is named twice");
                }

                if (property.Name != "__metadata__")
                {
                    entries.Add(ParseEntry(property, dataLength, source));
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new InvalidDataException(
                $"'{source}' is not a safetensors file: its header is not the JSON that the format demands "
                + $"({NameList.Short(e.Message, 300)}). Fetch or write the file again.", e);
        }

        entries.Sort((a, b) => (a.Begin, a.End).CompareTo((b.Begin, b.End)));
        long expected = 0;
        foreach (SafetensorsEntry entry in entries)
        {
            if (entry.Begin != expected)
            {
                throw Bad(source,
                    $"tensor '{entry.Name}' begins at byte {entry.Begin} and the one before it ends at {expected}: " +
                    "tensors neither overlap nor leave gaps");
            }

            expected = entry.End;
        }

        if (expected != dataLength)
        {
            throw Bad(source, $"its tensors take {expected} bytes and {dataLength} are there");
        }

        return new SafetensorsHeader(json.Length + 8L, entries);
    }

    private static SafetensorsEntry ParseEntry(JsonProperty property, long dataLength, string source)
    {
        if (property.Value.ValueKind != JsonValueKind.Object)
        {
            throw NotAsDemanded("the entry of a tensor is an object");
        }

        JsonElement dtype = Required(property, "dtype", source);
        JsonElement sizes = Required(property, "shape", source), ends = Required(property, "data_offsets", source);
        if (dtype.ValueKind is not (JsonValueKind.String or JsonValueKind.Null) || !AreIntegers(sizes) || !AreIntegers(ends))
        {
            throw NotAsDemanded("dtype is a string, shape and data_offsets are lists of whole numbers");
        }

        string typeName = dtype.GetString() ?? "null";
        SafetensorsType type = SafetensorsType.Find(typeName)
            ?? throw Bad(source, $"tensor '{property.Name}' has dtype '{typeName}', and the format has {SafetensorsType.Names}");
        long[] shape = [.. sizes.EnumerateArray().Select(size => size.GetInt64())];
        long[] offsets = [.. ends.EnumerateArray().Select(offset => offset.GetInt64())];
        if (offsets is not [long begin, long end] || begin < 0 || end < begin || end > dataLength)
        {
            throw Bad(source, $"tensor '{property.Name}' claims the bytes [{Text(offsets)}] of {dataLength}");
        }

        try
        {
            // In bits: some types take less than a byte, and such a tensor still fills whole ones.
            if (shape.Any(size => size < 0)
                || shape.Aggregate((long)type.Bits, (bits, size) => checked(bits * size)) != checked(8 * (end - begin)))
            {
                throw Bad(source,
                    $"tensor '{property.Name}' of shape [{Text(shape)}] and dtype {typeName} does not fill its {end - begin} bytes");
            }
        }
        catch (OverflowException)
        {
            throw Bad(source, $"tensor '{property.Name}' has the impossible shape [{Text(shape)}]");
        }

        return new SafetensorsEntry(property.Name, type, shape, begin, end);

        InvalidDataException NotAsDemanded(string demanded) => Bad(source,
            $"tensor '{NameList.Short(property.Name)}' has {NameList.Short(property.Value.GetRawText())}, which is not the JSON that the "
            + $"format demands: {demanded}");
    }

    private static bool AreIntegers(JsonElement list) => list.ValueKind == JsonValueKind.Array
        && list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Number && item.TryGetInt64(out _));

    private static JsonElement Required(JsonProperty property, string key, string source) =>
        property.Value.TryGetProperty(key, out JsonElement value) ? value : throw Bad(source, $"tensor '{property.Name}' has no {key}");

    private static void WriteArray(Utf8JsonWriter json, string name, IEnumerable<long> values)
    {
        json.WriteStartArray(name);
        foreach (long value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    private static string Text(IEnumerable<long> values) =>
        string.Join(", ", values.Select(value => value.ToString(CultureInfo.InvariantCulture)));

    private static InvalidDataException Bad(string source, string what) =>
        new($"'{source}' is not a whole safetensors file: {NameList.Short(what, 500)}. Fetch or write the file again.");
}
