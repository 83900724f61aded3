using System.Numerics;
using TorchSharp;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// The arithmetic of y = w ⊙ x / √(mean(x²) + ε) and of its gradient in float32 on a processor, a row at a time: libtorch passes over all
/// rows a dozen times. A row's values do not depend on the others.
/// </summary>
internal static unsafe class RmsNormRows
{
    /// <summary>What a thread takes at a time, in values: some microseconds.</summary>
    private const long PartValues = 16 << 10;

    /// <summary>Whether what is of this type is computed with here.</summary>
    public static bool Fits(ScalarType type, bool onCpu) => onCpu && type == ScalarType.Float32;

    /// <summary>Whether these are.</summary>
    public static bool Fits(Tensor x, Tensor weight) =>
        Fits(x.dtype, x.device_type == DeviceType.CPU) && Fits(weight.dtype, weight.device_type == DeviceType.CPU)
        && x.is_contiguous() && weight.is_contiguous() && x.size(-1) == weight.size(0);

    /// <summary>y [..., hidden]; belongs to the dispose scope that is open.</summary>
    /// <param name="x">[..., hidden], without gaps.</param>
    /// <param name="weight">w [hidden]; null: ones.</param>
    /// <param name="epsilon">ε.</param>
    public static Tensor Forward(Tensor x, Tensor? weight, double epsilon)
    {
        (Tensor y, int width, long rows) = Result(x);
        float* from = (float*)FewRows.Address(x), w = weight is null ? null : (float*)FewRows.Address(weight);
        float* to = (float*)FewRows.Address(y);
        InParts(rows, width, at =>
        {
            ReadOnlySpan<float> row = new(from + (at * width), width);
            Span<float> result = new(to + (at * width), width);
            TensorPrimitives.Multiply(row, Scale(row, epsilon), result);
            if (w != null)
            {
                TensorPrimitives.Multiply(result, new ReadOnlySpan<float>(w, width), result);
            }
        });
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        return y;
    }

    /// <summary>
    /// ∂L/∂x [..., hidden], of g = w ⊙ ∂L/∂y and s = 1 / √(mean(x²) + ε): s g − s³ mean(g ⊙ x) x. It belongs to the dispose scope that is
    /// open.
    /// </summary>
    /// <param name="gradient">∂L/∂y, of x's shape, without gaps.</param>
    /// <param name="x">[..., hidden].</param>
    /// <param name="weight">w [hidden].</param>
    /// <param name="epsilon">ε.</param>
    public static Tensor Backward(Tensor gradient, Tensor x, Tensor weight, double epsilon)
    {
        (Tensor dx, int width, long rows) = Result(x);
        float* dy = (float*)FewRows.Address(gradient), from = (float*)FewRows.Address(x), w = (float*)FewRows.Address(weight);
        float* to = (float*)FewRows.Address(dx);
        InParts(rows, width, at =>
        {
            ReadOnlySpan<float> row = new(from + (at * width), width);
            Span<float> g = new(to + (at * width), width);
            TensorPrimitives.Multiply(new ReadOnlySpan<float>(dy + (at * width), width), new ReadOnlySpan<float>(w, width), g);
            float s = Scale(row, epsilon), along = s * s * s * (Sum(g, row) / width);
            TensorPrimitives.Multiply(g, s, g);
            TensorPrimitives.MultiplyAdd(row, -along, g, g);
        });
        GC.KeepAlive(gradient);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        return dx;
    }

    /// <summary>Σ x y, always in the same order, unlike TensorPrimitives', which depends on where the values lie.</summary>
    public static float Sum(ReadOnlySpan<float> x, ReadOnlySpan<float> y)
    {
        Vector<float> first = default, second = default;
        int i = 0;
        for (; i + (2 * Vector<float>.Count) <= x.Length; i += 2 * Vector<float>.Count)
        {
            int next = i + Vector<float>.Count;
            first = Vector.MultiplyAddEstimate(new Vector<float>(x[i..]), new Vector<float>(y[i..]), first);
            second = Vector.MultiplyAddEstimate(new Vector<float>(x[next..]), new Vector<float>(y[next..]), second);
        }

        float sum = Vector.Sum(first + second);
        for (; i < x.Length; i++)
        {
            sum += x[i] * y[i];
        }

        return sum;
    }

    private static (Tensor Values, int Width, long Rows) Result(Tensor x)
    {
        long[] shape = FewRows.Shape(x);
        return (empty(shape, ScalarType.Float32), (int)shape[^1], shape[^1] == 0 ? 0 : x.numel() / shape[^1]);
    }

    private static void InParts(long rows, int width, Action<long> compute)
    {
        long part = Math.Max(PartValues / Math.Max(width, 1), 1);
        ParallelParts.Run((int)((rows + part - 1) / part), at =>
        {
            for (long row = at * part; row < Math.Min((at + 1) * part, rows); row++)
            {
                compute(row);
            }
        });
    }

    private static float Scale(ReadOnlySpan<float> row, double epsilon) =>
        1 / MathF.Sqrt((Sum(row, row) / row.Length) + (float)epsilon);
}
