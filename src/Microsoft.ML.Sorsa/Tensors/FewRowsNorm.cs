using System.Buffers;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>y = w ⊙ x / √(mean(x²) + ε) of the few rows of a decoding step.</summary>
internal static unsafe class FewRowsNorm
{
    /// <summary>Whether these are such rows.</summary>
    public static bool Fits(Tensor x, Tensor weight) =>
        FewRows.Are(x) && x.is_contiguous() && weight.dtype == x.dtype && weight.is_contiguous();

    /// <summary>
    /// y [..., hidden]; what is normalised is rounded to x's type before w scales it. It belongs to the dispose scope that is open.
    /// </summary>
    /// <param name="x">[..., hidden].</param>
    /// <param name="weight">w [hidden], of x's type.</param>
    /// <param name="epsilon">ε.</param>
    public static Tensor Compute(Tensor x, Tensor weight, double epsilon) => x.dtype == ScalarType.Float32
        ? Compute<Float32Values>(x, weight, epsilon)
        : Compute<BFloat16Values>(x, weight, epsilon);

    private static Tensor Compute<TValues>(Tensor x, Tensor weight, double epsilon)
        where TValues : IStoredValues
    {
        long[] shape = FewRows.Shape(x);
        int width = (int)shape[^1];
        Tensor y = empty(shape, x.dtype);
        byte* from = (byte*)FewRows.Address(x), to = (byte*)FewRows.Address(y), end = from + (x.numel() * TValues.Size);
        float[] rented = ArrayPool<float>.Shared.Rent(2 * width);
        Span<float> row = rented.AsSpan(0, width), scales = rented.AsSpan(width, width);
        FewRows.Read<TValues>((byte*)FewRows.Address(weight), scales);
        for (; from < end; from += width * TValues.Size, to += width * TValues.Size)
        {
            FewRows.Read<TValues>(from, row);
            float mean = RmsNormRows.Sum(row, row) / width;
            TensorPrimitives.Multiply(row, 1 / MathF.Sqrt(mean + (float)epsilon), row);
            FewRows.Write<TValues>(row, to);
            FewRows.Read<TValues>(to, row);
            TensorPrimitives.Multiply(row, scales, row);
            FewRows.Write<TValues>(row, to);
        }

        ArrayPool<float>.Shared.Return(rented);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        return y;
    }
}
