using System.Numerics;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>Where the values of a row begin: those that are read, and those that are written; null: there are none.</summary>
internal unsafe ref struct BlockPlaces
{
    public byte* A, B, C, D, To;
}

/// <summary>What is done with as many values as two vectors hold.</summary>
internal interface IVectorBlock
{
    /// <param name="row">Where the row begins.</param>
    /// <param name="at">The block's first byte, counted from there.</param>
    void Compute(in BlockPlaces row, long at);
}

/// <summary>Takes rows two vectors at a time.</summary>
internal static unsafe class VectorBlocks
{
    /// <summary>How many values two vectors hold.</summary>
    public static int Step => 2 * Vector<float>.Count;

    /// <summary>
    /// Computes a row block by block. What is left at its end stands in a block of its own, with zeros behind it.
    /// </summary>
    /// <param name="block">What is done with a block; it may keep sums.</param>
    /// <param name="places">Where the row's values begin.</param>
    /// <param name="count">How many values the row has.</param>
    // Who calls it is compiled well at once (AggressiveOptimization): until .NET finds out what runs often, a short training is over.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<TValues, TBlock>(ref TBlock block, in BlockPlaces places, long count)
        where TValues : IStoredValues
        where TBlock : struct, IVectorBlock
    {
        TBlock state = block;
        long bytes = Step * TValues.Size, whole = count / Step * bytes, all = count * TValues.Size;
        for (long at = 0; at < whole; at += bytes)
        {
            state.Compute(places, at);
        }

        if (whole < all)
        {
            Rest<TValues, TBlock>(ref state, places, whole, all - whole);
        }

        block = state;
    }

    /// <summary>Σ a b c of a row, always in the same order; b may be null: ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Sum<TValues>(byte* a, byte* b, byte* c, long count)
        where TValues : IStoredValues
    {
        var sum = new SumBlock<TValues>(b != null);
        Run<TValues, SumBlock<TValues>>(ref sum, new BlockPlaces { A = a, B = b, C = c }, count);
        return sum.Total;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Rest<TValues, TBlock>(ref TBlock block, in BlockPlaces places, long at, long bytes)
        where TValues : IStoredValues
        where TBlock : struct, IVectorBlock
    {
        int size = Step * TValues.Size;
        byte* values = stackalloc byte[5 * size];
        new Span<byte>(values, 5 * size).Clear();
        var own = new BlockPlaces
        {
            A = values,
            B = values + size,
            C = values + (2 * size),
            D = values + (3 * size),
            To = values + (4 * size),
        };
        Copy(places.A, own.A, at, bytes);
        Copy(places.B, own.B, at, bytes);
        Copy(places.C, own.C, at, bytes);
        Copy(places.D, own.D, at, bytes);
        block.Compute(own, 0);
        if (places.To != null)
        {
            Buffer.MemoryCopy(own.To, places.To + at, bytes, bytes);
        }
    }

    private static void Copy(byte* from, byte* to, long at, long bytes)
    {
        if (from != null)
        {
            Buffer.MemoryCopy(from + at, to, bytes, bytes);
        }
    }

    private struct SumBlock<TValues>(bool hasB) : IVectorBlock
        where TValues : IStoredValues
    {
        private Vector<float> _first;
        private Vector<float> _second;

        public readonly float Total => Vector.Sum(_first + _second);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Compute(in BlockPlaces row, long at)
        {
            (Vector<float> a1, Vector<float> a2) = TValues.Load(row.A + at);
            (Vector<float> c1, Vector<float> c2) = TValues.Load(row.C + at);
            if (hasB)
            {
                (Vector<float> b1, Vector<float> b2) = TValues.Load(row.B + at);
                (a1, a2) = (a1 * b1, a2 * b2);
            }

            _first = Vector.MultiplyAddEstimate(a1, c1, _first);
            _second = Vector.MultiplyAddEstimate(a2, c2, _second);
        }
    }
}
