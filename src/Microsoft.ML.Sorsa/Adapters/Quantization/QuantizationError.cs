using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Quantization;

/// <summary>What quantising cost a matrix at the start, as ‖W − its stand-in‖_F / ‖W‖_F.</summary>
/// <param name="Plain">NF4(W); null where W itself is not quantised.</param>
/// <param name="Residual">NF4(W − principal part) beside the principal part; null where nothing is taken out.</param>
/// <param name="Initial">What training starts from.</param>
internal sealed record QuantizationError(double? Plain, double? Residual, double Initial)
{
    /// <summary>The error of a frozen weight, and a product beside it where there is one.</summary>
    public static double Relative(Tensor weight, FrozenWeight frozen, Tensor? product)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor wide = weight.to(ScalarType.Float32), error = wide - frozen.Dense(ScalarType.Float32);
        error = product is null ? error : error - product.to(ScalarType.Float32);
        double norm = Norm(wide);
        return norm == 0 ? 0 : Norm(error) / norm;

        static double Norm(Tensor tensor) => tensor.norm().to(ScalarType.Float64).item<double>();
    }
}
