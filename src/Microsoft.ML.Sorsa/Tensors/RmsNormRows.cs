using System.Numerics;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// The arithmetic of y = w ⊙ x / √(mean(x²) + ε) and of its gradient on a processor, a row at a time: libtorch passes over all rows a dozen
/// times. It computes in float32. A row's values do not depend on the others.
/// </summary>
internal static unsafe class RmsNormRows
{
    /// <summary>Whether these are computed with here.</summary>
    public static bool Fits(Tensor x, Tensor weight) =>
        TensorData.IsReadable(x) && TensorData.IsReadable(weight) && x.dtype == weight.dtype && x.size(-1) == weight.size(0);

    /// <summary>
    /// y [..., hidden]; what is normalised is rounded to x's type before w scales it. It belongs to the dispose scope that is open.
    /// </summary>
    /// <param name="x">[..., hidden], without gaps.</param>
    /// <param name="weight">w [hidden], of x's type; null: ones.</param>
    /// <param name="epsilon">ε.</param>
    public static Tensor Forward(Tensor x, Tensor? weight, double epsilon) => x.dtype == ScalarType.Float32
        ? Forward<Float32Values>(x, weight, epsilon)
        : Forward<BFloat16Values>(x, weight, epsilon);

    /// <summary>
    /// ∂L/∂x [..., hidden], of g = w ⊙ ∂L/∂y and s = 1 / √(mean(x²) + ε): s g − s³ mean(g ⊙ x) x. It belongs to the dispose scope that is
    /// open.
    /// </summary>
    /// <param name="gradient">∂L/∂y, of x's shape, without gaps.</param>
    /// <param name="x">[..., hidden].</param>
    /// <param name="weight">w [hidden].</param>
    /// <param name="epsilon">ε.</param>
    public static Tensor Backward(Tensor gradient, Tensor x, Tensor weight, double epsilon) => x.dtype == ScalarType.Float32
        ? Backward<Float32Values>(gradient, x, weight, epsilon)
        : Backward<BFloat16Values>(gradient, x, weight, epsilon);

    private static Tensor Forward<TValues>(Tensor x, Tensor? weight, double epsilon)
        where TValues : IStoredValues
    {
        (Tensor y, int width, long rows) = TensorData.EmptyLike(x);
        byte* from = (byte*)TensorData.Address(x), to = (byte*)TensorData.Address(y);
        byte* w = weight is null ? null : (byte*)TensorData.Address(weight);
        ParallelParts.OverRows(rows, width, (first, last) =>
        {
            for (long row = first; row < last; row++)
            {
                long offset = row * width * TValues.Size;
                Normalize<TValues>(new BlockPlaces { A = from + offset, B = w, To = to + offset }, width, epsilon);
            }
        });
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        return y;
    }

    private static Tensor Backward<TValues>(Tensor gradient, Tensor x, Tensor weight, double epsilon)
        where TValues : IStoredValues
    {
        (Tensor dx, int width, long rows) = TensorData.EmptyLike(x);
        byte* dy = (byte*)TensorData.Address(gradient), from = (byte*)TensorData.Address(x), to = (byte*)TensorData.Address(dx);
        byte* w = (byte*)TensorData.Address(weight);
        ParallelParts.OverRows(rows, width, (first, last) =>
        {
            for (long row = first; row < last; row++)
            {
                long offset = row * width * TValues.Size;
                Differentiate<TValues>(
                    new BlockPlaces { A = dy + offset, B = w, C = from + offset, To = to + offset }, width, epsilon);
            }
        });
        GC.KeepAlive(gradient);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        return dx;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Normalize<TValues>(in BlockPlaces row, int width, double epsilon)
        where TValues : IStoredValues
    {
        var block = new ForwardBlock<TValues>(Scale<TValues>(row.A, width, epsilon), row.B != null);
        VectorBlocks.Run<TValues, ForwardBlock<TValues>>(ref block, row, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Differentiate<TValues>(in BlockPlaces row, int width, double epsilon)
        where TValues : IStoredValues
    {
        float scale = Scale<TValues>(row.C, width, epsilon);
        float along = VectorBlocks.Sum<TValues>(row.A, row.B, row.C, width) / width;
        var block = new BackwardBlock<TValues>(scale, -(scale * scale * scale * along));
        VectorBlocks.Run<TValues, BackwardBlock<TValues>>(ref block, row, width);
    }

    private static float Scale<TValues>(byte* row, int width, double epsilon)
        where TValues : IStoredValues =>
        1 / MathF.Sqrt((VectorBlocks.Sum<TValues>(row, null, row, width) / width) + (float)epsilon);

    private readonly struct ForwardBlock<TValues>(float scale, bool isWeighted) : IVectorBlock
        where TValues : IStoredValues
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Compute(in BlockPlaces row, long at)
        {
            (Vector<float> x1, Vector<float> x2) = TValues.Load(row.A + at);
            (x1, x2) = (TValues.Round(x1 * scale), TValues.Round(x2 * scale));
            if (isWeighted)
            {
                (Vector<float> w1, Vector<float> w2) = TValues.Load(row.B + at);
                (x1, x2) = (x1 * w1, x2 * w2);
            }

            TValues.Store(row.To + at, x1, x2);
        }
    }

    private readonly struct BackwardBlock<TValues>(float scale, float along) : IVectorBlock
        where TValues : IStoredValues
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Compute(in BlockPlaces row, long at)
        {
            (Vector<float> dy1, Vector<float> dy2) = TValues.Load(row.A + at);
            (Vector<float> w1, Vector<float> w2) = TValues.Load(row.B + at);
            (Vector<float> x1, Vector<float> x2) = TValues.Load(row.C + at);
            TValues.Store(
                row.To + at,
                Vector.MultiplyAddEstimate(x1, new Vector<float>(along), dy1 * w1 * scale),
                Vector.MultiplyAddEstimate(x2, new Vector<float>(along), dy2 * w2 * scale));
        }
    }
}
