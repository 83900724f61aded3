using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// The arithmetic of C = A B. A tile of C stays in the processor's registers while numbers of A, one at a time, meet vectors of B. Each
/// value is a sum in the order of k, rounded once for each product, whatever the width of vectors, the blocks and the number of threads.
/// </summary>
/// <param name="left">A [m, k].</param>
/// <param name="leftRow">From one row of A to the next, in values.</param>
/// <param name="leftStep">From one column of A to the next.</param>
/// <param name="right">B [k, n], a row of it without gaps.</param>
/// <param name="rightRow">From one row of B to the next.</param>
/// <param name="product">C [m, n], a row of it without gaps.</param>
/// <param name="productRow">From one row of C to the next.</param>
/// <param name="depth">k.</param>
internal readonly unsafe struct ProductTiles(
    float* left, long leftRow, long leftStep, float* right, long rightRow, float* product, long productRow, long depth)
{
    /// <summary>Of a tile; a vector of 512 bits, or two of 256.</summary>
    public const int Columns = 16;

    /// <summary>Of a tile: as many sums as hide how long one takes.</summary>
    public const int Rows = 8;

    /// <summary>Some rows and columns of C.</summary>
    /// <param name="rows">The first, and the one behind the last.</param>
    /// <param name="range">Columns, likewise; both multiples of <see cref="Columns"/>.</param>
    /// <param name="block">Rows of B that all these meet before the next ones are read.</param>
    public void Compute((long First, long End) rows, (long First, long End) range, long block)
    {
        for (long from = 0; from == 0 || from < depth; from += block)
        {
            Compute(rows, range, new Part(from, Math.Min(block, depth - from), Adds: from > 0));
        }
    }

    /// <summary>The first rows of C, in their place or added to what stands there.</summary>
    /// <param name="rows">How many.</param>
    /// <param name="columns">How many of each; a multiple of <see cref="Columns"/>.</param>
    /// <param name="adds">C ← C + A B.</param>
    public void Compute(long rows, long columns, bool adds) => Compute((0, rows), (0, columns), new Part(0, depth, adds));

    private void Compute((long First, long End) rows, (long First, long End) range, Part part)
    {
        for (long column = range.First; column < range.End; column += Columns)
        {
            long row = rows.First;
            for (; row + Rows <= rows.End; row += Rows)
            {
                if (Vector512.IsHardwareAccelerated)
                {
                    EightRows(row, column, part);
                }
                else
                {
                    FourRows(row, column, part);
                    FourRows(row + (Rows / 2), column, part);
                }
            }

            for (; row < rows.End; row++)
            {
                OneRow(row, column, part);
            }
        }
    }

    private float* A(long row, long from) => left + (row * leftRow) + (from * leftStep);

    private float* B(long column, long from) => right + (from * rightRow) + column;

    private float* C(long row, long column) => product + (row * productRow) + column;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void EightRows(long row, long column, Part part)
    {
        float* a0 = A(row, part.From), a1 = a0 + leftRow, a2 = a1 + leftRow, a3 = a2 + leftRow;
        float* a4 = a3 + leftRow, a5 = a4 + leftRow, a6 = a5 + leftRow, a7 = a6 + leftRow;
        float* b = B(column, part.From), c = C(row, column);
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default;
        Vector512<float> c4 = default, c5 = default, c6 = default, c7 = default;
        if (part.Adds)
        {
            c0 = Vector512.Load(c);
            c1 = Vector512.Load(c + productRow);
            c2 = Vector512.Load(c + (2 * productRow));
            c3 = Vector512.Load(c + (3 * productRow));
            c4 = Vector512.Load(c + (4 * productRow));
            c5 = Vector512.Load(c + (5 * productRow));
            c6 = Vector512.Load(c + (6 * productRow));
            c7 = Vector512.Load(c + (7 * productRow));
        }

        long step = leftStep, next = rightRow, count = part.Count, at = 0;
        for (long k = 0; k < count; k++)
        {
            Vector512<float> v = Vector512.Load(b);
            c0 = Vector512.FusedMultiplyAdd(Vector512.Create(a0[at]), v, c0);
            c1 = Vector512.FusedMultiplyAdd(Vector512.Create(a1[at]), v, c1);
            c2 = Vector512.FusedMultiplyAdd(Vector512.Create(a2[at]), v, c2);
            c3 = Vector512.FusedMultiplyAdd(Vector512.Create(a3[at]), v, c3);
            c4 = Vector512.FusedMultiplyAdd(Vector512.Create(a4[at]), v, c4);
            c5 = Vector512.FusedMultiplyAdd(Vector512.Create(a5[at]), v, c5);
            c6 = Vector512.FusedMultiplyAdd(Vector512.Create(a6[at]), v, c6);
            c7 = Vector512.FusedMultiplyAdd(Vector512.Create(a7[at]), v, c7);
            at += step;
            b += next;
        }

        c0.Store(c);
        c1.Store(c + productRow);
        c2.Store(c + (2 * productRow));
        c3.Store(c + (3 * productRow));
        c4.Store(c + (4 * productRow));
        c5.Store(c + (5 * productRow));
        c6.Store(c + (6 * productRow));
        c7.Store(c + (7 * productRow));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FourRows(long row, long column, Part part)
    {
        float* a0 = A(row, part.From), a1 = a0 + leftRow, a2 = a1 + leftRow, a3 = a2 + leftRow;
        float* b = B(column, part.From), c = C(row, column);
        Vector256<float> c0 = default, c1 = default, c2 = default, c3 = default;
        Vector256<float> d0 = default, d1 = default, d2 = default, d3 = default;
        if (part.Adds)
        {
            (c0, d0) = Load(c);
            (c1, d1) = Load(c + productRow);
            (c2, d2) = Load(c + (2 * productRow));
            (c3, d3) = Load(c + (3 * productRow));
        }

        long step = leftStep, next = rightRow, count = part.Count, at = 0;
        for (long k = 0; k < count; k++)
        {
            (Vector256<float> v, Vector256<float> w) = Load(b);
            Vector256<float> a = Vector256.Create(a0[at]);
            c0 = Vector256.FusedMultiplyAdd(a, v, c0);
            d0 = Vector256.FusedMultiplyAdd(a, w, d0);
            a = Vector256.Create(a1[at]);
            c1 = Vector256.FusedMultiplyAdd(a, v, c1);
            d1 = Vector256.FusedMultiplyAdd(a, w, d1);
            a = Vector256.Create(a2[at]);
            c2 = Vector256.FusedMultiplyAdd(a, v, c2);
            d2 = Vector256.FusedMultiplyAdd(a, w, d2);
            a = Vector256.Create(a3[at]);
            c3 = Vector256.FusedMultiplyAdd(a, v, c3);
            d3 = Vector256.FusedMultiplyAdd(a, w, d3);
            at += step;
            b += next;
        }

        Store(c0, d0, c);
        Store(c1, d1, c + productRow);
        Store(c2, d2, c + (2 * productRow));
        Store(c3, d3, c + (3 * productRow));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void OneRow(long row, long column, Part part)
    {
        float* a = A(row, part.From), b = B(column, part.From), c = C(row, column);
        (Vector256<float> sum, Vector256<float> other) = part.Adds ? Load(c) : default;
        for (long k = 0; k < part.Count; k++)
        {
            (Vector256<float> v, Vector256<float> w) = Load(b + (k * rightRow));
            Vector256<float> value = Vector256.Create(a[k * leftStep]);
            sum = Vector256.FusedMultiplyAdd(value, v, sum);
            other = Vector256.FusedMultiplyAdd(value, w, other);
        }

        Store(sum, other, c);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> First, Vector256<float> Second) Load(float* at) =>
        (Vector256.Load(at), Vector256.Load(at + Vector256<float>.Count));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector256<float> first, Vector256<float> second, float* at)
    {
        first.Store(at);
        second.Store(at + Vector256<float>.Count);
    }

    /// <summary>Some of the columns of A, from one on, and whether what they give is added.</summary>
    private readonly record struct Part(long From, long Count, bool Adds);
}
