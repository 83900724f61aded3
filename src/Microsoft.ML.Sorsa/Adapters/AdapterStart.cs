using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// Values that factors start from, on the weight's device, in float32, or in float64 where the weight is. They are drawn on the CPU: a seed
/// means the same on every device. The caller owns them.
/// </summary>
internal static class AdapterStart
{
    /// <summary>The type that factors of a weight train in.</summary>
    public static ScalarType TypeFor(Tensor weight) => weight.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;

    public static Tensor Zeros(long[] shape, Tensor weight) => zeros(shape, TypeFor(weight), weight.device).DetachFromDisposeScope();

    /// <summary>Uniform in ±<paramref name="bound"/>.</summary>
    public static Tensor Uniform(long[] shape, double bound, Tensor weight, Generator generator)
    {
        using var scope = NewDisposeScope();
        Tensor values = rand(shape, TypeFor(weight), CPU, generator: generator).Scale(2 * bound).Shift(-bound);
        return values.to(weight.device).DetachFromDisposeScope();
    }

    /// <summary>Normal around 0.</summary>
    public static Tensor Normal(long[] shape, double deviation, Tensor weight, Generator generator)
    {
        using var scope = NewDisposeScope();
        return randn(shape, TypeFor(weight), CPU, generator: generator).Scale(deviation).to(weight.device).DetachFromDisposeScope();
    }
}
