using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// y = x Wᵀ + b for the few rows of a decoding step, which is bound by reading W from memory. MKL reads it with one thread where rows are
/// fewest, and copies it first where they are some more; here every thread reads its own parts of W, and reads them once. A row's values
/// do not depend on how many others there are. docs/measurements.md, GGUF, has the figures.
/// </summary>
internal static partial class FewRowsProduct
{
    /// <summary>From here on products are bound by arithmetic, and MKL's are faster.</summary>
    private const int MostRows = 16;

    /// <summary>The same where W is bfloat16, of which half as many bytes are read.</summary>
    private const int MostRowsOfBFloat16 = 8;

    /// <summary>What a thread takes of W at a time, in values: some microseconds.</summary>
    private const long PartValues = 32 << 10;

    /// <summary>
    /// Whether it is worth it, and allowed: there is no gradient of it, and rows of many tokens may be computed again for one.
    /// </summary>
    public static bool Fits(Tensor x, Tensor weight)
    {
        // First, since every product of a training comes by here.
        if (is_grad_enabled())
        {
            return false;
        }

        int most = weight.dtype switch
        {
            ScalarType.Float32 => MostRows,
            ScalarType.BFloat16 => MostRowsOfBFloat16,
            _ => 0,
        };
        long inputs = weight.shape[1];
        return x.dtype == weight.dtype && x.device_type == DeviceType.CPU && weight.device_type == DeviceType.CPU
            && x.shape[^1] == inputs && inputs > 0 && x.numel() <= most * inputs && (x.dim() < 3 || x.shape[^2] == 1)
            && weight.is_contiguous();
    }

    /// <summary>
    /// y [..., out], by this where it <see cref="Fits"/>, and otherwise by libtorch, with a gradient where gradients are on.
    /// </summary>
    /// <inheritdoc cref="Compute"/>
    public static Tensor Linear(Tensor x, Tensor weight, Tensor? bias) =>
        Fits(x, weight) ? Compute(x, weight, bias) : nn.functional.linear(x, weight, bias);

    /// <summary>
    /// y [..., out] in x's type; belongs to the dispose scope that is open, where there is one, and otherwise to the caller.
    /// </summary>
    /// <param name="x">[..., in].</param>
    /// <param name="weight">W [out, in].</param>
    /// <param name="bias">b [out], or null.</param>
    public static Tensor Compute(Tensor x, Tensor weight, Tensor? bias)
    {
        (long outputs, long inputs) = (weight.shape[0], weight.shape[1]);
        long part = Math.Max(PartValues / inputs, 1);
        int parts = (int)((outputs + part - 1) / part);
        using Tensor values = x.dtype == ScalarType.Float32 ? x.alias() : x.to(ScalarType.Float32);
        using Tensor flat = values.contiguous();
        Tensor y = empty([.. x.shape[..^1], outputs], ScalarType.Float32);
        var places = new ProductPlaces(Data(flat.Handle), Data(weight.Handle), Data(y.Handle), x.numel() / inputs, inputs, outputs);
        ParallelParts.Run(parts, weight.dtype == ScalarType.Float32 ? Multiply<Float32Weight> : Multiply<BFloat16Weight>);
        GC.KeepAlive(weight);
        if (bias is not null)
        {
            y.Accumulate(bias);
        }

        if (x.dtype == ScalarType.Float32)
        {
            return y;
        }

        using (y)
        {
            return y.to(x.dtype);
        }

        void Multiply<TWeight>(int at)
            where TWeight : IProductWeight =>
            RowProducts<TWeight>.Compute(places, at * part, Math.Min((at + 1) * part, outputs));
    }

    // Tensor.bytes is a span, which ends at 2 GB: heads of large vocabularies are larger.
    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    private static partial nint Data(nint handle);
}
