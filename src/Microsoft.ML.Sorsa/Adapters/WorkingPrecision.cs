using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// Decompositions and products that are made once and kept are computed in float64 on the CPU and rounded at the end: float32 kernels
/// round differently from processor to processor, and from one number of threads to the next. Most cards have hardly any float64: there
/// large matrices stay as they are.
/// </summary>
internal static class WorkingPrecision
{
    public static ScalarType For(Tensor tensor) => tensor.device_type == DeviceType.CPU ? ScalarType.Float64 : tensor.dtype;

    /// <summary>B A, in that type; belongs to the dispose scope that is open.</summary>
    public static Tensor Product(Tensor b, Tensor a) => b.to(For(b)).mm(a.to(For(a)));
}
