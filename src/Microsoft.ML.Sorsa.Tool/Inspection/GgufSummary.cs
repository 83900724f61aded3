using System.Text;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tool.Outputs;

namespace Microsoft.ML.Sorsa.Tool.Inspection;

/// <summary>What a GGUF file (llama.cpp's) says at its beginning: single values by their keys, and its tensors by type.</summary>
internal static class GgufSummary
{
    private const uint Magic = 0x46554747;
    private const int LongestText = 1 << 24;
    private const long MostEntries = 1 << 20;
    private const uint ListType = 9, MostDimensions = 4;

    /// <summary>The names of the types that models have, by ggml's numbers.</summary>
    private static readonly Dictionary<uint, string> s_types = new()
    {
        [0] = "F32",
        [1] = "F16",
        [2] = "Q4_0",
        [3] = "Q4_1",
        [6] = "Q5_0",
        [7] = "Q5_1",
        [8] = "Q8_0",
        [10] = "Q2_K",
        [11] = "Q3_K",
        [12] = "Q4_K",
        [13] = "Q5_K",
        [14] = "Q6_K",
        [30] = "BF16",
    };

    /// <exception cref="CommandException">It is no GGUF file, or damaged.</exception>
    public static JsonObject Of(string file)
    {
        try
        {
            using var reader = new BinaryReader(File.OpenRead(file));
            if (reader.ReadUInt32() != Magic)
            {
                throw new InvalidDataException("it does not begin with GGUF");
            }

            var json = new JsonObject { ["kind"] = "gguf", ["version"] = reader.ReadUInt32(), ["bytes"] = new FileInfo(file).Length };
            long tensors = Count(reader.ReadInt64()), entries = Count(reader.ReadInt64());
            for (long i = 0; i < entries; i++)
            {
                string key = Text(reader);
                if (Value(reader, reader.ReadUInt32()) is { } value)
                {
                    json[key] = value;
                }
            }

            AddTensors(json, reader, tensors, new FileInfo(file).Length);
            return json;
        }
        catch (Exception e) when (e is EndOfStreamException or InvalidDataException or OverflowException)
        {
            throw new CommandException(
                ExitCode.Input, $"'{file}' is no GGUF file, or damaged: {e.Message.TrimEnd('.')}. Write or fetch it again.", e);
        }
    }

    private static void AddTensors(JsonObject json, BinaryReader reader, long tensors, long bytes)
    {
        var types = new SortedDictionary<string, (int Tensors, long Values)>(StringComparer.Ordinal);
        for (long i = 0; i < tensors; i++)
        {
            Text(reader);
            uint dimensions = reader.ReadUInt32();
            if (dimensions > MostDimensions)
            {
                throw new InvalidDataException($"a tensor of {dimensions} dimensions");
            }

            long values = 1;
            for (uint left = dimensions; left > 0; left--)
            {
                values = checked(values * Size(reader.ReadInt64()));
            }

            uint number = reader.ReadUInt32();
            reader.ReadUInt64();
            string type = s_types.GetValueOrDefault(number, FormattableString.Invariant($"type {number}"));
            types[type] = (types.GetValueOrDefault(type).Tensors + 1, checked(types.GetValueOrDefault(type).Values + values));
        }

        json["weights"] = new JsonObject
        {
            ["tensors"] = tensors,
            ["parameters"] = types.Values.Sum(type => type.Values),
            ["types"] = new JsonObject(types.Select(type => KeyValuePair.Create(type.Key, (JsonNode?)new JsonObject
            {
                ["tensors"] = type.Value.Tensors,
                ["parameters"] = type.Value.Values,
            }))),
        };
        json["summary"] = FormattableString.Invariant(
            $"{types.Values.Sum(type => type.Values):N0} parameters in {tensors} tensors, ")
            + $"{Numbers.Bytes(bytes)}: "
            + string.Join(", ", types.Select(type => FormattableString.Invariant($"{type.Key} {type.Value.Values:N0}")));
    }

    /// <summary>A single value; of lists, which hold vocabularies, how long they are; of a chat template, that it is there.</summary>
    private static JsonNode? Value(BinaryReader reader, uint type) => type switch
    {
        0 => reader.ReadByte(),
        1 => reader.ReadSByte(),
        2 => reader.ReadUInt16(),
        3 => reader.ReadInt16(),
        4 => reader.ReadUInt32(),
        5 => reader.ReadInt32(),
        6 => Numbers.Of(reader.ReadSingle()),
        7 => reader.ReadByte() != 0,
        8 => Short(Text(reader)),
        ListType => List(reader),
        10 => reader.ReadUInt64(),
        11 => reader.ReadInt64(),
        12 => Numbers.Of(reader.ReadDouble()),
        _ => throw new InvalidDataException($"a value of the unknown type {type}"),
    };

    private static JsonNode List(BinaryReader reader)
    {
        // llama.cpp has none, and each would be a call within a call.
        uint type = reader.ReadUInt32();
        if (type == ListType)
        {
            throw new InvalidDataException("a list of lists");
        }

        long length = Count(reader.ReadInt64());
        for (long i = 0; i < length; i++)
        {
            Value(reader, type);
        }

        return $"{length} values";
    }

    private static string Short(string text) => text.Length <= 80 && !text.Contains('\n', StringComparison.Ordinal)
        ? text : $"{text.Length} characters";

    private static string Text(BinaryReader reader)
    {
        long length = reader.ReadInt64();
        if (length is < 0 or > LongestText)
        {
            throw new InvalidDataException($"a text of {length} bytes");
        }

        byte[] bytes = reader.ReadBytes((int)length);
        return bytes.Length == length ? Encoding.UTF8.GetString(bytes) : throw new EndOfStreamException("it is cut short");
    }

    private static long Size(long size) =>
        size >= 0 ? size : throw new InvalidDataException($"a tensor with a side of {size}");

    private static long Count(long count) =>
        count is >= 0 and <= MostEntries ? count : throw new InvalidDataException($"a list of {count}");
}
