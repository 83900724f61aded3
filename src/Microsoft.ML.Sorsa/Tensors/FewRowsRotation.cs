using System.Buffers;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// Rotary positions of the few rows of a decoding step: the pair (x_i, x_{i+d/2}) is turned, as x ⊙ cos + (x_{i+d/2}, x_i) ⊙ sin.
/// </summary>
internal static unsafe class FewRowsRotation
{
    /// <summary>Whether these are such rows.</summary>
    public static bool Fits(Tensor x, (Tensor Cos, Tensor Sin) angles) =>
        FewRows.Are(x) && x.is_contiguous() && angles.Cos.dtype == x.dtype && angles.Cos.is_contiguous() && angles.Sin.is_contiguous();

    /// <summary>y [B, 1, heads, d]; x ⊙ cos is rounded to x's type before the rest is added. It is the open scope's.</summary>
    /// <param name="x">[B, 1, heads, d].</param>
    /// <param name="cos">[B or 1, 1, 1, d], of x's type.</param>
    /// <param name="sin">The same, its first half negative.</param>
    public static Tensor Compute(Tensor x, Tensor cos, Tensor sin) => x.dtype == ScalarType.Float32
        ? Compute<Float32Values>(x, cos, sin)
        : Compute<BFloat16Values>(x, cos, sin);

    private static Tensor Compute<TValues>(Tensor x, Tensor cos, Tensor sin)
        where TValues : IStoredValues
    {
        long[] shape = FewRows.Shape(x);
        (long rows, long heads, int width) = (shape[0], shape[2], (int)shape[3]);
        bool turnsAlike = cos.size(0) == 1;
        Tensor y = empty(shape, x.dtype);
        byte* from = (byte*)FewRows.Address(x), to = (byte*)FewRows.Address(y);
        int bytes = width * TValues.Size, half = width / 2;
        float[] rented = ArrayPool<float>.Shared.Rent(4 * width);
        Span<float> values = rented.AsSpan(0, width), turned = rented.AsSpan(width, width);
        Span<float> cosines = rented.AsSpan(2 * width, width), sines = rented.AsSpan(3 * width, width);
        for (long row = 0; row < rows; row++)
        {
            if (row == 0 || !turnsAlike)
            {
                FewRows.Read<TValues>((byte*)FewRows.Address(cos) + (row * bytes), cosines);
                FewRows.Read<TValues>((byte*)FewRows.Address(sin) + (row * bytes), sines);
            }

            for (long head = 0; head < heads; head++, from += bytes, to += bytes)
            {
                FewRows.Read<TValues>(from, values);
                TensorPrimitives.Multiply(values, cosines, turned);
                FewRows.Write<TValues>(turned, to);
                FewRows.Read<TValues>(to, turned);
                TensorPrimitives.MultiplyAdd(values[half..], sines[..half], turned[..half], turned[..half]);
                TensorPrimitives.MultiplyAdd(values[..half], sines[half..], turned[half..], turned[half..]);
                FewRows.Write<TValues>(turned, to);
            }
        }

        ArrayPool<float>.Shared.Return(rented);
        GC.KeepAlive(x);
        GC.KeepAlive(cos);
        GC.KeepAlive(sin);
        return y;
    }
}
