using System.Numerics;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>silu(gate) ⊙ x, where silu(g) = g / (1 + e^(−g)), of the few rows of a decoding step.</summary>
internal static unsafe class FewRowsGate
{
    /// <summary>Whether these are such rows.</summary>
    public static bool Fits(Tensor gate, Tensor x) =>
        FewRows.Are(x) && TensorData.IsReadable(gate) && TensorData.IsReadable(x) && gate.dtype == x.dtype && gate.numel() == x.numel();

    /// <summary>y [..., n]; silu(g) is rounded to its type before it is multiplied. It belongs to the dispose scope that is open.</summary>
    /// <param name="gate">g [..., n], without gaps.</param>
    /// <param name="x">The same shape and type.</param>
    public static Tensor Compute(Tensor gate, Tensor x) => x.dtype == ScalarType.Float32
        ? Compute<Float32Values>(gate, x)
        : Compute<BFloat16Values>(gate, x);

    private static Tensor Compute<TValues>(Tensor gate, Tensor x)
        where TValues : IStoredValues
    {
        Tensor y = empty(TensorData.Shape(x), x.dtype);
        byte* gates = (byte*)TensorData.Address(gate), factors = (byte*)TensorData.Address(x), to = (byte*)TensorData.Address(y);
        ParallelParts.OverRows(x.numel(), 1, (first, last) =>
        {
            long at = first * TValues.Size;
            Compute<TValues>(new BlockPlaces { A = gates + at, B = factors + at, To = to + at }, last - first);
        });
        GC.KeepAlive(gate);
        GC.KeepAlive(x);
        return y;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Compute<TValues>(in BlockPlaces places, long count)
        where TValues : IStoredValues
    {
        var block = default(GateBlock<TValues>);
        VectorBlocks.Run<TValues, GateBlock<TValues>>(ref block, places, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Sigmoid(Vector<float> g) => Vector<float>.One / (Vector<float>.One + Exponential.Of(-g));

    private readonly struct GateBlock<TValues> : IVectorBlock
        where TValues : IStoredValues
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Compute(in BlockPlaces row, long at)
        {
            (Vector<float> g1, Vector<float> g2) = TValues.Load(row.A + at);
            (Vector<float> x1, Vector<float> x2) = TValues.Load(row.B + at);
            TValues.Store(row.To + at, TValues.Round(g1 * Sigmoid(g1)) * x1, TValues.Round(g2 * Sigmoid(g2)) * x2);
        }
    }
}
