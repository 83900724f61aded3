using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>One tensor of a safetensors file: <paramref name="Begin"/> and <paramref name="End"/> are bytes behind the header.</summary>
internal sealed record SafetensorsEntry(string Name, torch.ScalarType Type, long[] Shape, long Begin, long End)
{
    public long Length => End - Begin;
}

/// <summary>
/// The header of a safetensors file: eight bytes of length (little endian), that many bytes of JSON, then the tensors' bytes.
/// Everything in it is checked before a byte of data is looked at: a header comes from anywhere.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The largest header that is read, as in the format's own library.</summary>
    public const int MaxLength = 100_000_000;

    private static readonly Dictionary<string, (torch.ScalarType Type, int Size)> Types = new(StringComparer.Ordinal)
    {
        ["F64"] = (torch.ScalarType.Float64, 8),
        ["F32"] = (torch.ScalarType.Float32, 4),
        ["F16"] = (torch.ScalarType.Float16, 2),
        ["BF16"] = (torch.ScalarType.BFloat16, 2),
        ["I64"] = (torch.ScalarType.Int64, 8),
        ["I32"] = (torch.ScalarType.Int32, 4),
        ["U8"] = (torch.ScalarType.Byte, 1),
    };

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
    /// <exception cref="InvalidDataException">The file is cut short or its header is not what the format demands.</exception>
    public static SafetensorsHeader Read(Stream stream, long length, string source)
    {
        Span<byte> prefix = stackalloc byte[8];
        if (length < 8)
        {
            throw Bad(source, $"it has {length} bytes, and a safetensors file has at least 8");
        }

        stream.ReadExactly(prefix);
        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength > MaxLength || (long)headerLength > length - 8)
        {
            throw Bad(source,
                $"its header claims {headerLength} bytes, and the file holds {length - 8} behind the length (at most {MaxLength} are " +
                "read)");
        }

        var json = new byte[headerLength];
        stream.ReadExactly(json);
        return Parse(json, length - 8 - json.Length, source);
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
                json.WriteString("dtype", TypeName(entry.Type));
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

    /// <summary>The bytes of one element.</summary>
    public static int ElementSize(torch.ScalarType type) => Types[TypeName(type)].Size;

    private static string TypeName(torch.ScalarType type) =>
        Types.FirstOrDefault(known => known.Value.Type == type).Key
        ?? throw new NotSupportedException(
            $"A tensor of type {type} cannot be written to safetensors; {string.Join(", ", Types.Keys.Order(StringComparer.Ordinal))} " +
            "can.");

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
                $"'{source}' is not a safetensors file: its header is not the JSON that the format demands ({e.Message}). " +
                "Fetch or write the file again.", e);
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
        string typeName = Required(property, "dtype", source).GetString() ?? "null";
        if (!Types.TryGetValue(typeName, out (torch.ScalarType Type, int Size) type))
        {
            throw Bad(source,
                $"tensor '{property.Name}' has dtype '{typeName}', and {string.Join(", ", Types.Keys.Order(StringComparer.Ordinal))} are " +
                "read");
        }

        long[] shape = [.. Required(property, "shape", source).EnumerateArray().Select(size => size.GetInt64())];
        long[] offsets = [.. Required(property, "data_offsets", source).EnumerateArray().Select(offset => offset.GetInt64())];
        if (offsets is not [long begin, long end] || begin < 0 || end < begin || end > dataLength)
        {
            throw Bad(source, $"tensor '{property.Name}' claims the bytes [{Text(offsets)}] of {dataLength}");
        }

        try
        {
            if (shape.Any(size => size < 0) || shape.Aggregate((long)type.Size, (bytes, size) => checked(bytes * size)) != end - begin)
            {
                throw Bad(source,
                    $"tensor '{property.Name}' of shape [{Text(shape)}] and dtype {typeName} does not fill its {end - begin} bytes");
            }
        }
        catch (OverflowException)
        {
            throw Bad(source, $"tensor '{property.Name}' has the impossible shape [{Text(shape)}]");
        }

        return new SafetensorsEntry(property.Name, type.Type, shape, begin, end);
    }

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
        new($"'{source}' is not a whole safetensors file: {what}. Fetch or write the file again.");
}
