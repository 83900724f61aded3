using System.Buffers;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>silu(gate) ⊙ x, where silu(g) = g / (1 + e^(−g)), of the few rows of a decoding step.</summary>
internal static unsafe class FewRowsGate
{
    /// <summary>Whether these are such rows.</summary>
    public static bool Fits(Tensor gate, Tensor x) =>
        gate.dtype == x.dtype && FewRows.Are(x) && gate.is_contiguous() && x.is_contiguous();

    /// <summary>y [..., n]; silu(gate) is rounded to its type before it is multiplied. It belongs to the scope that is open.</summary>
    /// <param name="gate">[..., n].</param>
    /// <param name="x">The same shape and type.</param>
    public static Tensor Compute(Tensor gate, Tensor x) => x.dtype == ScalarType.Float32
        ? Compute<Float32Values>(gate, x)
        : Compute<BFloat16Values>(gate, x);

    private static Tensor Compute<TValues>(Tensor gate, Tensor x)
        where TValues : IStoredValues
    {
        int count = (int)x.numel();
        Tensor y = empty(FewRows.Shape(x), x.dtype);
        byte* to = (byte*)FewRows.Address(y);
        float[] rented = ArrayPool<float>.Shared.Rent(2 * count);
        Span<float> gates = rented.AsSpan(0, count), factors = rented.AsSpan(count, count);
        FewRows.Read<TValues>((byte*)FewRows.Address(gate), gates);
        TensorPrimitives.Sigmoid(gates, factors);
        TensorPrimitives.Multiply(gates, factors, gates);
        FewRows.Write<TValues>(gates, to);
        FewRows.Read<TValues>(to, gates);
        FewRows.Read<TValues>((byte*)FewRows.Address(x), factors);
        TensorPrimitives.Multiply(gates, factors, gates);
        FewRows.Write<TValues>(gates, to);
        ArrayPool<float>.Shared.Return(rented);
        GC.KeepAlive(gate);
        GC.KeepAlive(x);
        return y;
    }
}
