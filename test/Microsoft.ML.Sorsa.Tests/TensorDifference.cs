using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>How far two tensors are from each other, whatever their devices and types: in float64, on the CPU.</summary>
internal static class TensorDifference
{
    /// <summary>The largest |a − b|.</summary>
    public static double Largest(Tensor a, Tensor b)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return (Here(a) - Here(b)).abs().max().item<double>();
    }

    /// <summary>‖a − b‖ / ‖b‖.</summary>
    public static double Relative(Tensor a, Tensor b)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return (Here(a) - Here(b)).norm().item<double>() / Here(b).norm().item<double>();
    }

    private static Tensor Here(Tensor tensor) => tensor.detach().cpu().to(ScalarType.Float64);
}
