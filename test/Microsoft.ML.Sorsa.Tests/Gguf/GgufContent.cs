using System.Buffers.Binary;
using System.Text;

namespace Microsoft.ML.Sorsa.Tests.Gguf;

/// <summary>A GGUF file, read plainly and by the format's description alone.</summary>
internal sealed class GgufContent
{
    private readonly byte[] _bytes;
    private int _at;

    private GgufContent(byte[] bytes)
    {
        _bytes = bytes;
        Assert.AreEqual("GGUF", Encoding.ASCII.GetString(Take(4)));
        Assert.AreEqual(3u, UInt32());
        int tensors = (int)UInt64(), keys = (int)UInt64();
        for (int i = 0; i < keys; i++)
        {
            Keys.Add(Text(), Value(UInt32()));
        }

        for (int i = 0; i < tensors; i++)
        {
            string name = Text();
            long[] sides = [.. Enumerable.Range(0, (int)UInt32()).Select(_ => (long)UInt64())];
            Tensors.Add(name, new GgufContentTensor(sides, UInt32(), (long)UInt64()));
        }

        DataStart = (_at + 31) / 32 * 32;
    }

    public Dictionary<string, object> Keys { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, GgufContentTensor> Tensors { get; } = new(StringComparer.Ordinal);

    public int DataStart { get; }

    public int Length => _bytes.Length;

    public static GgufContent Read(string path) => new(File.ReadAllBytes(path));

    public ReadOnlySpan<byte> Bytes(string name)
    {
        GgufContentTensor tensor = Tensors[name];
        return _bytes.AsSpan(DataStart + (int)tensor.Offset, tensor.Size);
    }

    /// <summary>The values of a tensor, in the order in which they stand.</summary>
    public float[] Values(string name)
    {
        ReadOnlySpan<byte> bytes = Bytes(name);
        GgufContentTensor tensor = Tensors[name];
        var values = new float[tensor.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = tensor.Type switch
            {
                GgufContentTensor.F32 => BinaryPrimitives.ReadSingleLittleEndian(bytes[(4 * i)..]),
                GgufContentTensor.F16 => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes[(2 * i)..]),
                GgufContentTensor.BF16 => BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(bytes[(2 * i)..]) << 16),
                _ => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes[(i / 32 * 34)..]) * (sbyte)bytes[(i / 32 * 34) + 2 + (i % 32)],
            };
        }

        return values;
    }

    private object Value(uint type) => type switch
    {
        0 => Take(1)[0],
        4 => UInt32(),
        5 => (int)UInt32(),
        6 => BitConverter.UInt32BitsToSingle(UInt32()),
        7 => Take(1)[0] != 0,
        8 => Text(),
        9 => List(),
        10 => UInt64(),
        _ => throw new InvalidDataException($"The type {type}."),
    };

    private object[] List()
    {
        uint type = UInt32();
        return [.. Enumerable.Range(0, (int)UInt64()).Select(_ => Value(type))];
    }

    private string Text() => Encoding.UTF8.GetString(Take((int)UInt64()));

    private uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    private ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    private ReadOnlySpan<byte> Take(int count) => _bytes.AsSpan((_at += count) - count, count);
}

/// <param name="Sides">As they stand: the one of neighbours first.</param>
/// <param name="Type">ggml's number.</param>
/// <param name="Offset">From where the data begin.</param>
internal sealed record GgufContentTensor(long[] Sides, uint Type, long Offset)
{
    public const uint F32 = 0, F16 = 1, Q8 = 8, BF16 = 30;

    public int Count => (int)Sides.Aggregate(1L, (count, side) => count * side);

    public int Size => Type switch
    {
        F32 => 4 * Count,
        F16 or BF16 => 2 * Count,
        Q8 => Count / 32 * 34,
        _ => throw new InvalidDataException($"The type {Type}."),
    };
}
