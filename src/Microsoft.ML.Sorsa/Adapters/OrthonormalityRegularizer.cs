using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// The regularizer of SORSA, Eq. (9), over all U_p and Vt_p of a model:
/// <code>L_reg = reduction of ‖U_pᵀ U_p − I‖_F and ‖Vt_p Vt_pᵀ − I‖_F</code>
/// The norm is not squared. The paper's γ belong to the mean over the 2·L matrices. Matrices of one shape are computed as one stack: most
/// models have hundreds of factors and a handful of shapes.
/// </summary>
internal sealed class OrthonormalityRegularizer
{
    /// <summary>
    /// At an orthonormal start ‖M‖ is rounding noise of random direction, and 2UM/‖M‖ would be a step of length 2 along it: below this
    /// the gradient shrinks with ‖M‖.
    /// </summary>
    private const double NormFloor = 1e-4;

    /// <summary>Of a stack, which is a copy, and so is its gradient: 32 MB in float32.</summary>
    private const long MostValues = 8 << 20;

    /// <summary>A stack is at most this part of all factors, so that what a small model takes does not grow.</summary>
    private const long LeastStacks = 16;

    private readonly IReadOnlyList<OrthonormalFactor[]> _stacks;
    private readonly double _share;

    /// <param name="factors">U and Vt of every adapted projection.</param>
    /// <param name="mean">Mean over the factors; otherwise their sum, as (9) writes it for one adapter.</param>
    /// <param name="mostValues">Of a stack, unless one factor has more.</param>
    public OrthonormalityRegularizer(IReadOnlyList<OrthonormalFactor> factors, bool mean, long mostValues = MostValues)
    {
        long most = Math.Min(mostValues, factors.Sum(factor => factor.Matrix.numel()) / LeastStacks);
        _stacks =
        [
            .. factors.GroupBy(factor => (factor.Rows, factor.Matrix.shape[0], factor.Matrix.shape[1], factor.Matrix.dtype))
                .SelectMany(alike => alike.Chunk((int)Math.Max(1, most / alike.First().Matrix.numel()))),
        ];
        _share = mean ? 1.0 / Math.Max(factors.Count, 1) : 1;
    }

    /// <summary>L_reg.</summary>
    public double Measure()
    {
        using var scope = NewDisposeScope();
        return Look().Value.item<double>();
    }

    /// <summary>Adds weight · ∂L_reg to the gradients, which are set, and gives L_reg.</summary>
    public double AddGradient(double weight)
    {
        using var scope = NewDisposeScope();
        Deviations deviations = Look();
        deviations.AddGradient(weight);
        return deviations.Value.item<double>();
    }

    /// <summary>
    /// The same in two calls, for whoever does something in between; L_reg stays on the device. All belongs to the dispose scope that the
    /// caller must have open.
    /// </summary>
    public Deviations Look()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor sum = zeros([], ScalarType.Float64);
        var parts = new List<(OrthonormalFactor[], Tensor, Tensor)>();
        foreach (OrthonormalFactor[] factors in _stacks)
        {
            using var one = NewDisposeScope();
            Tensor stack = Stack(factors);
            Tensor deviation = factors[0].Rows ? stack.bmm(stack.transpose(1, 2)) : stack.transpose(1, 2).bmm(stack);
            deviation.diagonal(0, 1, 2).Shift(-1.0);
            Tensor norms = linalg.norm(deviation, dims: [1, 2]);
            parts.Add((factors, one.MoveToOuter(deviation), one.MoveToOuter(norms)));
        }

        if (parts.Count > 0)
        {
            sum = cat([.. parts.Select(part => part.Item3.to(ScalarType.Float64))]).sum().Scale(_share);
        }

        parts.ForEach(part => scope.MoveToOuter(part.Item2, part.Item3));
        return new Deviations(scope.MoveToOuter(sum), parts, _share);
    }

    /// <summary>[count, rows, columns].</summary>
    private static Tensor Stack(OrthonormalFactor[] factors) => stack([.. factors.Select(factor => (Tensor)factor.Matrix)]);

    /// <summary>How far the factors are from orthonormal.</summary>
    /// <param name="value">L_reg, in float64.</param>
    /// <param name="stacks">Of each stack M [count, r, r] and ‖M‖_F [count].</param>
    /// <param name="share">What a factor counts.</param>
    internal sealed class Deviations(
        Tensor value, IReadOnlyList<(OrthonormalFactor[] Factors, Tensor Deviation, Tensor Norms)> stacks, double share)
    {
        /// <summary>L_reg, in float64, on the device.</summary>
        public Tensor Value => value;

        /// <summary>
        /// Adds weight · ∂L_reg to the gradients, which are set; once. With M = UᵀU − I a factor's part is 2 U M / max(‖M‖_F, 1e-4), for
        /// rows 2 M Vt / max(‖M‖_F, 1e-4) with M = Vt Vtᵀ − I.
        /// </summary>
        public void AddGradient(double weight)
        {
            using var noGrad = no_grad();
            foreach ((OrthonormalFactor[] factors, Tensor deviation, Tensor norms) in stacks)
            {
                using var one = NewDisposeScope();
                Tensor stack = Stack(factors);
                Tensor step = deviation.mul_(norms.AtLeast(NormFloor).reciprocal_().Scale(2 * weight * share).view(-1, 1, 1));
                TensorLists.Accumulate(
                    [.. factors.Select(Gradient)], factors[0].Rows ? step.bmm(stack) : stack.bmm(step));
            }
        }

        private static Tensor Gradient(OrthonormalFactor factor) => factor.Matrix.grad
            ?? throw new InvalidOperationException("The regularizer adds to the gradients of the loss: call backward first.");
    }
}
