using System.Numerics;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// The arithmetic of rotary positions on a processor, in one pass over the values: the pair (x_i, x_{i+d/2}) of each head is turned, as
/// x ⊙ cos + (x_{i+d/2}, x_i) ⊙ sin, and heads come to lie before tokens, as attention reads them. It computes in float32.
/// </summary>
internal static unsafe class RotationRows
{
    /// <summary>Whether these are computed with here.</summary>
    public static bool Fits(Tensor x, (Tensor Cos, Tensor Sin) angles)
    {
        return TensorData.IsReadable(x) && x.dim() == 4 && x.size(3) % 2 == 0 && Turns(angles.Cos) && Turns(angles.Sin)
            && angles.Cos.size(0) == angles.Sin.size(0);

        bool Turns(Tensor angle) => TensorData.IsReadable(angle) && angle.dtype == x.dtype && angle.dim() == 4 && angle.size(2) == 1
            && (angle.size(0) == 1 || angle.size(0) == x.size(0)) && angle.size(1) == x.size(1) && angle.size(3) == x.size(3);
    }

    /// <summary>
    /// y [B, heads, T, d]; x ⊙ cos is rounded to x's type before the rest is added. It belongs to the dispose scope that is open.
    /// </summary>
    /// <param name="x">[B, T, heads, d], without gaps.</param>
    /// <param name="cos">[B or 1, T, 1, d], of x's type.</param>
    /// <param name="sin">The same, its first half negative.</param>
    public static Tensor Forward(Tensor x, Tensor cos, Tensor sin)
    {
        Tensor y = empty([x.size(0), x.size(2), x.size(1), x.size(3)], x.dtype);
        Turn(new Places(x, y), cos, sin, back: false);
        GC.KeepAlive(x);
        return y;
    }

    /// <summary>∂L/∂x [B, T, heads, d]; belongs to the dispose scope that is open.</summary>
    /// <param name="gradient">∂L/∂y [B, heads, T, d], without gaps.</param>
    /// <param name="cos">[B or 1, T, 1, d].</param>
    /// <param name="sin">The same.</param>
    public static Tensor Backward(Tensor gradient, Tensor cos, Tensor sin)
    {
        Tensor dx = empty([gradient.size(0), gradient.size(2), gradient.size(1), gradient.size(3)], gradient.dtype);
        Turn(new Places(dx, gradient), cos, sin, back: true);
        GC.KeepAlive(gradient);
        return dx;
    }

    private static void Turn(Places places, Tensor cos, Tensor sin, bool back)
    {
        if (cos.dtype == ScalarType.Float32)
        {
            Turn<Float32Values>(places, cos, sin, back);
        }
        else
        {
            Turn<BFloat16Values>(places, cos, sin, back);
        }

        GC.KeepAlive(cos);
        GC.KeepAlive(sin);
    }

    private static void Turn<TValues>(Places places, Tensor cos, Tensor sin, bool back)
        where TValues : IStoredValues
    {
        (nint ofCos, nint ofSin, bool turnAlike) = (TensorData.Address(cos), TensorData.Address(sin), cos.size(0) == 1);
        ParallelParts.OverRows(places.Batch * places.Tokens, places.Heads * places.Width, (first, last) =>
        {
            for (long row = first; row < last; row++)
            {
                long angle = (turnAlike ? row % places.Tokens : row) * places.Width * TValues.Size;
                TurnToken<TValues>(places, row, (byte*)ofCos + angle, (byte*)ofSin + angle, back);
            }
        });
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TurnToken<TValues>(Places places, long row, byte* cos, byte* sin, bool back)
        where TValues : IStoredValues
    {
        (long text, long token) = Math.DivRem(row, places.Tokens);
        int bytes = places.Width * TValues.Size;
        byte* byToken = (byte*)places.ByToken + (row * places.Heads * bytes);
        byte* byHead = (byte*)places.ByHead + (((text * places.Heads * places.Tokens) + token) * bytes);
        for (long head = 0; head < places.Heads; head++, byToken += bytes, byHead += places.Tokens * bytes)
        {
            TurnHead<TValues>(back ? byHead : byToken, back ? byToken : byHead, cos, sin, places.Width / 2, back);
        }
    }

    /// <summary>Going back, what x_i gave to y_{i+d/2} comes from there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TurnHead<TValues>(byte* from, byte* to, byte* cos, byte* sin, int half, bool back)
        where TValues : IStoredValues
    {
        int other = half * TValues.Size;
        var block = default(TurnBlock<TValues>);
        VectorBlocks.Run<TValues, TurnBlock<TValues>>(
            ref block, new BlockPlaces { A = from, B = cos, C = from + other, D = back ? sin + other : sin, To = to }, half);
        VectorBlocks.Run<TValues, TurnBlock<TValues>>(
            ref block,
            new BlockPlaces { A = from + other, B = cos + other, C = from, D = back ? sin : sin + other, To = to + other },
            half);
    }

    /// <summary>Where values lie by token [B, T, heads, d] and by head [B, heads, T, d].</summary>
    private readonly record struct Places(nint ByToken, nint ByHead, long Batch, long Tokens, long Heads, int Width)
    {
        public Places(Tensor byToken, Tensor byHead)
            : this(TensorData.Address(byToken), TensorData.Address(byHead), byToken.size(0), byToken.size(1), byToken.size(2),
                (int)byToken.size(3))
        {
        }
    }

    private readonly struct TurnBlock<TValues> : IVectorBlock
        where TValues : IStoredValues
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Compute(in BlockPlaces row, long at)
        {
            (Vector<float> x1, Vector<float> x2) = TValues.Load(row.A + at);
            (Vector<float> cos1, Vector<float> cos2) = TValues.Load(row.B + at);
            (Vector<float> other1, Vector<float> other2) = TValues.Load(row.C + at);
            (Vector<float> sin1, Vector<float> sin2) = TValues.Load(row.D + at);
            TValues.Store(
                row.To + at,
                Vector.MultiplyAddEstimate(other1, sin1, TValues.Round(x1 * cos1)),
                Vector.MultiplyAddEstimate(other2, sin2, TValues.Round(x2 * cos2)));
        }
    }
}
