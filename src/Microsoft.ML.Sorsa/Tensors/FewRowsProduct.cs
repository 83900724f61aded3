using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// y = x Wᵀ + b for the few rows of a decoding step, which is bound by reading W from memory. MKL's product of few rows reads it with one
/// thread; as a batch of products over parts of W it reads it with all of them, each part in full. On two cores of a Zen 4 the products of
/// SmolLM2-135M's step take a third of the time for one row, and two thirds for eight (docs/measurements.md, GGUF).
/// </summary>
internal static class FewRowsProduct
{
    /// <summary>From here on products are bound by arithmetic, and MKL uses all threads.</summary>
    private const int MostRows = 16;

    /// <summary>Up to here MKL is faster at W xᵀ than at x Wᵀ.</summary>
    private const int MostRowsBehindWeight = 4;

    /// <summary>Rows of W in a part, about: little enough for a core's cache, and many parts for every thread.</summary>
    private const long PartRows = 96;

    /// <summary>Whether it is worth it, and allowed: there is no gradient of it.</summary>
    public static bool Fits(Tensor x, Tensor weight) =>
        x.device_type == DeviceType.CPU && x.dtype == ScalarType.Float32 && weight.dtype == ScalarType.Float32
        && x.numel() <= MostRows * weight.shape[1] && weight.is_contiguous() && !is_grad_enabled();

    /// <summary>y [..., out]; belongs to the dispose scope that is open, where there is one, and otherwise to the caller.</summary>
    /// <param name="x">[..., in].</param>
    /// <param name="weight">W [out, in].</param>
    /// <param name="bias">b [out], or null.</param>
    public static Tensor Compute(Tensor x, Tensor weight, Tensor? bias)
    {
        (long outputs, long inputs) = (weight.shape[0], weight.shape[1]);
        long rows = x.numel() / inputs, parts = Parts(outputs);
        using Tensor whole = weight.view(parts, outputs / parts, inputs);
        using Tensor flat = x.contiguous();
        using Tensor spread = rows <= MostRowsBehindWeight
            ? flat.as_strided([parts, inputs, rows], [0, 1, inputs], flat.storage_offset())
            : flat.as_strided([parts, rows, inputs], [0, inputs, 1], flat.storage_offset());
        using Tensor columns = whole.transpose(1, 2);
        using Tensor product = rows <= MostRowsBehindWeight ? whole.bmm(spread) : spread.bmm(columns);
        using Tensor byRow = rows <= MostRowsBehindWeight ? product.permute(2, 0, 1) : product.transpose(0, 1);

        // In the order of its places: a reshape alone may leave the rows' values side by side.
        using Tensor ordered = byRow.contiguous();
        Tensor y = ordered.view([.. x.shape[..^1], outputs]);
        return bias is null ? y : y.Accumulate(bias);
    }

    /// <summary>The parts must be equal: the largest divisor that leaves a part its rows.</summary>
    private static long Parts(long outputs)
    {
        long parts = Math.Max(1, outputs / PartRows);
        while (outputs % parts != 0)
        {
            parts--;
        }

        return parts;
    }
}
