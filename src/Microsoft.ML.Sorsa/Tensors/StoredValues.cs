using System.Numerics;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>How values of a type lie in memory; they are computed with in float32.</summary>
internal unsafe interface IStoredValues
{
    /// <summary>The bytes of a value.</summary>
    static abstract int Size { get; }

    /// <summary>As many values as two vectors hold.</summary>
    static abstract (Vector<float> First, Vector<float> Second) Load(byte* at);

    /// <summary>The same values in the order that takes least work, that of <see cref="RowProducts{TValues}.Shuffle"/>.</summary>
    static abstract (Vector<float> First, Vector<float> Second) LoadShuffled(byte* at);

    /// <summary>Writes as many values as two vectors hold, each rounded to the nearest, ties to even.</summary>
    static abstract void Store(byte* at, Vector<float> first, Vector<float> second);

    /// <summary>One value.</summary>
    static abstract float Get(byte* at);

    /// <summary>Writes one value, rounded as <see cref="Store"/> does.</summary>
    static abstract void Set(byte* at, float value);

    /// <summary>What values are once they were written and read again.</summary>
    static abstract Vector<float> Round(Vector<float> values);
}

/// <summary>As they are.</summary>
internal readonly unsafe struct Float32Values : IStoredValues
{
    public static int Size => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> First, Vector<float> Second) Load(byte* at) =>
        (Vector.Load((float*)at), Vector.Load((float*)at + Vector<float>.Count));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> First, Vector<float> Second) LoadShuffled(byte* at) => Load(at);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* at, Vector<float> first, Vector<float> second)
    {
        first.Store((float*)at);
        second.Store((float*)at + Vector<float>.Count);
    }

    public static float Get(byte* at) => *(float*)at;

    public static void Set(byte* at, float value) => *(float*)at = value;

    public static Vector<float> Round(Vector<float> values) => values;
}

/// <summary>A bfloat16 is the upper half of a float32.</summary>
internal readonly unsafe struct BFloat16Values : IStoredValues
{
    private const int LowerHalf = 16;
    private const uint UpperHalf = 0xFFFF0000, BelowHalfUnit = 0x7FFF, Quiet = 0x00400000;

    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> First, Vector<float> Second) Load(byte* at)
    {
        Vector.Widen(Vector.Load((ushort*)at), out Vector<uint> first, out Vector<uint> second);
        return (Vector.AsVectorSingle(first << LowerHalf), Vector.AsVectorSingle(second << LowerHalf));
    }

    /// <summary>Those in even places first: they are the lower halves of the loaded words, the others the upper ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> First, Vector<float> Second) LoadShuffled(byte* at)
    {
        Vector<uint> words = Vector.Load((uint*)at);
        return (Vector.AsVectorSingle(words << LowerHalf), Vector.AsVectorSingle(words & new Vector<uint>(UpperHalf)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* at, Vector<float> first, Vector<float> second) =>
        Vector.Narrow(Rounded(first) >> LowerHalf, Rounded(second) >> LowerHalf).Store((ushort*)at);

    public static float Get(byte* at) => BitConverter.UInt32BitsToSingle((uint)*(ushort*)at << LowerHalf);

    public static void Set(byte* at, float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value), unit = (bits >> LowerHalf) & 1;
        *(ushort*)at = (ushort)((float.IsNaN(value) ? bits | Quiet : bits + BelowHalfUnit + unit) >> LowerHalf);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Round(Vector<float> values) => Vector.AsVectorSingle(Rounded(values) & new Vector<uint>(UpperHalf));

    /// <summary>The bits of the nearest bfloat16 in the upper halves. Adding could make infinity of a NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> Rounded(Vector<float> values)
    {
        Vector<uint> bits = Vector.AsVectorUInt32(values), unit = (bits >> LowerHalf) & Vector<uint>.One;
        return Vector.ConditionalSelect(
            Vector.AsVectorUInt32(Vector.Equals(values, values)),
            bits + new Vector<uint>(BelowHalfUnit) + unit,
            bits | new Vector<uint>(Quiet));
    }
}
