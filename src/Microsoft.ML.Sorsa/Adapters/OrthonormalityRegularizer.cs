using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// The regularizer of SORSA, Eq. (9), over all U_p and Vt_p of a model:
/// <code>L_reg = reduction of ‖U_pᵀ U_p − I‖_F and ‖Vt_p Vt_pᵀ − I‖_F</code>
/// The norm is not squared. The paper's γ belong to the mean over the 2·L matrices.
/// </summary>
internal sealed class OrthonormalityRegularizer
{
    /// <summary>
    /// At an orthonormal start ‖M‖ is rounding noise of random direction, and 2UM/‖M‖ would be a step of length 2 along it: below this
    /// the gradient shrinks with ‖M‖.
    /// </summary>
    private const double NormFloor = 1e-4;

    private readonly IReadOnlyList<OrthonormalFactor> _factors;
    private readonly double _share;

    /// <param name="factors">U and Vt of every adapted projection.</param>
    /// <param name="mean">Mean over the factors; otherwise their sum, as (9) writes it for one adapter.</param>
    public OrthonormalityRegularizer(IReadOnlyList<OrthonormalFactor> factors, bool mean)
    {
        _factors = factors;
        _share = mean ? 1.0 / Math.Max(factors.Count, 1) : 1;
    }

    /// <summary>L_reg.</summary>
    public double Measure() => Visit((_, _, _) => { });

    /// <summary>
    /// Adds weight · ∂L_reg to the gradients, which are set, and gives L_reg. With M = UᵀU − I a factor's part is
    /// 2 U M / max(‖M‖_F, 1e-4), for rows 2 M Vt / max(‖M‖_F, 1e-4) with M = Vt Vtᵀ − I.
    /// </summary>
    public double AddGradient(double weight) => Visit((factor, deviation, norm) =>
    {
        using Tensor gradient = factor.Matrix.grad
            ?? throw new InvalidOperationException("The regularizer adds to the gradients of the loss: call backward first.");
        Tensor step = deviation.mul_(norm.AtLeast(NormFloor).reciprocal_().Scale(2 * weight * _share));
        _ = factor.Rows ? gradient.addmm_(step, factor.Matrix) : gradient.addmm_(factor.Matrix, step);
    });

    private double Visit(Action<OrthonormalFactor, Tensor, Tensor> act)
    {
        if (_factors.Count == 0)
        {
            return 0;
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var norms = new Tensor[_factors.Count];
        for (int i = 0; i < norms.Length; i++)
        {
            using var inner = NewDisposeScope();
            Tensor matrix = _factors[i].Matrix;
            Tensor deviation = _factors[i].Rows ? matrix.mm(matrix.t()) : matrix.t().mm(matrix);
            deviation.diagonal().Shift(-1.0);
            norms[i] = inner.MoveToOuter(deviation.norm());
            act(_factors[i], deviation, norms[i]);
        }

        // One number leaves the device, not one per matrix.
        return stack(norms).sum().Scale(_share).to(ScalarType.Float64).item<double>();
    }
}
