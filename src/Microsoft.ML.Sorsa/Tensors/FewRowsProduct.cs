using System.Buffers;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// y = x Wᵀ + b for the few rows of a decoding step, which is bound by reading W from memory. MKL reads it with one thread where rows are
/// fewest, and copies it first where they are some more; here every thread reads its own parts of W, and reads them once. A row's values
/// do not depend on how many others there are. docs/measurements.md, GGUF, has the figures.
/// </summary>
internal static class FewRowsProduct
{
    /// <summary>With more of them products are bound by arithmetic where W is bfloat16, and MKL's are faster.</summary>
    private const int MostRowsOfBFloat16 = 8;

    /// <summary>What a thread takes of W at a time, in values: some microseconds.</summary>
    private const long PartValues = 32 << 10;

    /// <summary>Whether it is worth it, and allowed: see <see cref="FewRows"/>.</summary>
    public static bool Fits(Tensor x, Tensor weight)
    {
        if (!AreFew(x) || weight.dtype != x.dtype || weight.device_type != DeviceType.CPU || !weight.is_contiguous())
        {
            return false;
        }

        long inputs = x.size(-1);
        return inputs > 0 && inputs == weight.size(1);
    }

    /// <summary>Whether it is, as far as the rows are concerned.</summary>
    public static bool AreFew(Tensor x) =>
        FewRows.Are(x) && (x.dtype == ScalarType.Float32 || x.size(0) <= MostRowsOfBFloat16);

    /// <summary>
    /// y [..., out], by this where it <see cref="Fits"/>, and otherwise by libtorch, with a gradient where gradients are on.
    /// </summary>
    /// <inheritdoc cref="Compute"/>
    public static Tensor Linear(Tensor x, Tensor weight, Tensor? bias) =>
        Fits(x, weight) ? Compute(x, weight, bias)
        : WideLinear.Fits(x, weight) ? WideLinear.Apply(x, weight, bias)
        : nn.functional.linear(x, weight, bias);

    /// <summary>
    /// y [..., out] in x's type; belongs to the dispose scope that is open, where there is one, and otherwise to the caller.
    /// </summary>
    /// <param name="x">[..., in].</param>
    /// <param name="weight">W [out, in], of x's type.</param>
    /// <param name="bias">b [out], or null; of another type where it trains.</param>
    public static Tensor Compute(Tensor x, Tensor weight, Tensor? bias) =>
        weight.dtype == ScalarType.Float32 ? Compute<Float32Values>(x, weight, bias) : Compute<BFloat16Values>(x, weight, bias);

    private static unsafe Tensor Compute<TValues>(Tensor x, Tensor weight, Tensor? bias)
        where TValues : IStoredValues
    {
        (long outputs, long inputs, long rows) = (weight.size(0), weight.size(1), x.numel() / weight.size(1));
        long[] shape = TensorData.Shape(x);
        shape[^1] = outputs;
        Tensor y = empty(shape, weight.dtype);
        using Tensor? wide = bias?.to(ScalarType.Float32), b = wide?.contiguous();
        long part = Math.Max(PartValues / inputs, 1);
        float[] unpacked = ArrayPool<float>.Shared.Rent((int)(rows * inputs));
        fixed (float* values = unpacked)
        {
            using (Tensor? copy = x.is_contiguous() ? null : x.contiguous())
            {
                byte* read = (byte*)TensorData.Address(copy ?? x);
                for (long row = 0; row < rows; row++)
                {
                    RowProducts<TValues>.Shuffle(read + (row * inputs * TValues.Size), values + (row * inputs), inputs);
                }
            }

            var products = new RowProducts<TValues>(
                (byte*)TensorData.Address(weight), b is null ? null : (float*)TensorData.Address(b), values, (byte*)TensorData.Address(y),
                rows, inputs, outputs);
            ParallelParts.Run(
                (int)((outputs + part - 1) / part), at => products.Compute(at * part, Math.Min((at + 1) * part, outputs)));
        }

        ArrayPool<float>.Shared.Return(unpacked);
        GC.KeepAlive(x);
        GC.KeepAlive(weight);
        return y;
    }
}
