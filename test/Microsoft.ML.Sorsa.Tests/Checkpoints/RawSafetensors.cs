using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Tests.Checkpoints;

/// <summary>
/// The safetensors format written and read from its description alone, so that our writer and reader do not check each other.
/// </summary>
internal static class RawSafetensors
{
    /// <summary>Length, header, data: each as given, right or wrong.</summary>
    public static byte[] File(string header, ReadOnlySpan<byte> data, ulong? claimedLength = null)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        using var buffer = new MemoryStream();
        using var writer = new BinaryWriter(buffer);
        writer.Write(claimedLength ?? (ulong)json.Length);
        writer.Write(json);
        writer.Write(data);
        return buffer.ToArray();
    }

    public static string Entry(string name, string dtype, string shape, string offsets) =>
        $"\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{offsets}]}}";

    /// <summary>dtype, shape and bytes of every tensor, in the order of the header.</summary>
    public static IReadOnlyList<(string Name, string Type, long[] Shape, byte[] Bytes)> Read(byte[] file)
    {
        int headerLength = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(file));
        using JsonDocument header = JsonDocument.Parse(file.AsMemory(8, headerLength));
        var tensors = new List<(string Name, string Type, long[] Shape, byte[] Bytes)>();
        foreach (JsonProperty entry in header.RootElement.EnumerateObject().Where(entry => entry.Name != "__metadata__"))
        {
            int[] offsets = [.. entry.Value.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt32())];
            tensors.Add((
                entry.Name, entry.Value.GetProperty("dtype").GetString()!,
                [.. entry.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())],
                file[(8 + headerLength + offsets[0])..(8 + headerLength + offsets[1])]));
        }

        return tensors;
    }
}
