using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Inspection;

/// <summary>What safetensors files hold, by their headers: no weight is read.</summary>
internal sealed class StoredTensors
{
    /// <summary>The format's own limit.</summary>
    private const long LongestHeader = 100_000_000;

    private readonly SortedDictionary<string, (int Tensors, long Values, long Bytes)> _types = new(StringComparer.Ordinal);

    public long Values => _types.Values.Sum(type => type.Values);

    public long Bytes => _types.Values.Sum(type => type.Bytes);

    /// <summary>The tensors' shapes by name.</summary>
    public SortedDictionary<string, long[]> Shapes { get; } = new(StringComparer.Ordinal);

    public static StoredTensors Of(params IEnumerable<string> files)
    {
        var tensors = new StoredTensors();
        foreach (string file in files)
        {
            using FileStream stream = File.OpenRead(file);
            tensors.Add(stream, file);
        }

        return tensors;
    }

    /// <summary>Adds the tensors of one file.</summary>
    /// <exception cref="CommandException">It is no safetensors file.</exception>
    public void Add(Stream stream, string file)
    {
        try
        {
            byte[] length = new byte[sizeof(long)];
            stream.ReadExactly(length);
            long bytes = BinaryPrimitives.ReadInt64LittleEndian(length);
            byte[] header = bytes is > 1 and <= LongestHeader ? new byte[bytes] : throw new JsonException($"a header of {bytes} bytes");
            stream.ReadExactly(header);
            using JsonDocument document = JsonDocument.Parse(header);
            foreach (JsonProperty tensor in document.RootElement.EnumerateObject().Where(tensor => tensor.Name != "__metadata__"))
            {
                long[] shape = Integers(tensor, "shape");
                string type = tensor.Value.GetProperty("dtype").GetString() ?? throw new JsonException($"'{tensor.Name}' has no dtype.");
                if (Integers(tensor, "data_offsets") is not [var begin, var end] || begin > end)
                {
                    throw new JsonException($"the data_offsets of '{tensor.Name}' are no beginning and end.");
                }

                (int count, long values, long bytesOfType) = _types.GetValueOrDefault(type);
                _types[type] = checked((count + 1, values + shape.Aggregate(1L, (a, b) => a * b), bytesOfType + end - begin));
                Shapes[tensor.Name] = shape;
            }

            // The sums over all types must be numbers, too.
            _ = (Values, Bytes);
        }
        catch (Exception e) when (
            e is JsonException or EndOfStreamException or KeyNotFoundException or InvalidOperationException or FormatException
            or OverflowException)
        {
            throw new CommandException(
                ExitCode.Input, $"'{file}' is no safetensors file, or damaged: {e.Message} Fetch or write it again.", e);
        }
    }

    /// <summary>A list of sizes or places, none below zero.</summary>
    private static long[] Integers(JsonProperty tensor, string name)
    {
        long[] numbers = [.. tensor.Value.GetProperty(name).EnumerateArray().Select(number => number.GetInt64())];
        return numbers.All(number => number >= 0) ? numbers
            : throw new JsonException($"the {name} of '{tensor.Name}' has a number below zero.");
    }

    public JsonObject ToJson() => new()
    {
        ["tensors"] = Shapes.Count,
        ["parameters"] = Values,
        ["bytes"] = Bytes,
        ["types"] = new JsonObject(_types.Select(type => KeyValuePair.Create(type.Key, (JsonNode?)new JsonObject
        {
            ["tensors"] = type.Value.Tensors,
            ["parameters"] = type.Value.Values,
            ["bytes"] = type.Value.Bytes,
        }))),
    };

    public override string ToString() => FormattableString.Invariant(
        $"{Values:N0} parameters in {Shapes.Count} tensors, {Numbers.Bytes(Bytes)}: {string.Join(", ", _types.Select(Text))}");

    private static string Text(KeyValuePair<string, (int Tensors, long Values, long Bytes)> type) =>
        FormattableString.Invariant($"{type.Key} {type.Value.Values:N0}");
}
