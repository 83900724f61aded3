using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// What matrices are multiplied in: their own type, or float32, rounded once, where they have 16 bits and an x64 processor has no products
/// of such. libtorch's own take there several times as long as float32's, and backward's, where oneDNN has none, up to hundreds of times
/// (docs/decisions/widened-products.md).
/// </summary>
internal static class ProductType
{
    /// <summary>Of products with this tensor.</summary>
    public static ScalarType Of(Tensor x) => x.dtype == ScalarType.Float32 ? x.dtype : Of(x.dtype, x.device_type == DeviceType.CPU);

    /// <summary>Of a type, on this processor or on a GPU.</summary>
    public static ScalarType Of(ScalarType type, bool onCpu) => onCpu ? OnCpu(type, Processor.BFloat16) : type;

    /// <summary>Of a type, on a processor of this kind.</summary>
    public static ScalarType OnCpu(ScalarType type, BFloat16Support support) => type switch
    {
        ScalarType.BFloat16 when support == BFloat16Support.None => ScalarType.Float32,
        ScalarType.Float16 when Processor.HasFloat16 == false => ScalarType.Float32,
        _ => type,
    };

    /// <summary>x in the type that it is multiplied in: itself, or a new tensor of the dispose scope that is open.</summary>
    public static Tensor Widen(Tensor x) => x.In(Of(x));

    /// <summary>x in a type: itself, or a new tensor of the dispose scope that is open.</summary>
    public static Tensor In(this Tensor x, ScalarType type) => x.dtype == type ? x : x.to(type);
}
