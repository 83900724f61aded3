using System.Numerics;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>How the values of a weight lie in memory, to be multiplied in float32.</summary>
internal unsafe interface IProductWeight
{
    /// <summary>The bytes of a value.</summary>
    static abstract int Size { get; }

    /// <summary>As many values as two vectors hold.</summary>
    static abstract (Vector<float> First, Vector<float> Second) Load(byte* at);

    /// <summary>One value.</summary>
    static abstract float Get(byte* at);
}

/// <summary>As they are.</summary>
internal readonly unsafe struct Float32Weight : IProductWeight
{
    public static int Size => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> First, Vector<float> Second) Load(byte* at) =>
        (Vector.Load((float*)at), Vector.Load((float*)at + Vector<float>.Count));

    public static float Get(byte* at) => *(float*)at;
}

/// <summary>A bfloat16 is the upper half of a float32.</summary>
internal readonly unsafe struct BFloat16Weight : IProductWeight
{
    private const int LowerHalf = 16;

    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> First, Vector<float> Second) Load(byte* at)
    {
        Vector.Widen(Vector.Load((ushort*)at), out Vector<uint> first, out Vector<uint> second);
        return (Vector.AsVectorSingle(first << LowerHalf), Vector.AsVectorSingle(second << LowerHalf));
    }

    public static float Get(byte* at) => BitConverter.UInt32BitsToSingle((uint)*(ushort*)at << LowerHalf);
}
