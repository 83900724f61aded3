using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Decompositions;

/// <summary>
/// Columns that span what a matrix does most, by subspace iteration with momentum (Xu et al., arXiv 1707.02670): for a card, on which
/// products are nearly free, and what goes column by column is not. With A = W Wᵀ and X = Q R, of which R is Cholesky's factor of XᵀX:
/// <code>X ← A Q − β Q_before R⁻¹,     β = λ² / 4</code>
/// λ is a lower bound for what lies beyond the width, so that nothing of it grows, and what lies above grows as fast as in block Krylov
/// iteration, without its wide basis. R is computed in float64, since XᵀX has the square of X's condition.
/// </summary>
internal static class SubspaceIteration
{
    /// <summary>By these the energy is 0.9999 of the exact one's, of the flattest spectra as well.</summary>
    private const int Rounds = 16;

    /// <summary>Before these rounds λ is measured.</summary>
    private static readonly int[] s_measured = [3, 6, 10];

    /// <summary>
    /// Of XᵀX's trace is added to its diagonal, so that it is positive definite where columns depend on each other (shifted Cholesky QR:
    /// Fukaya et al., arXiv 1809.11085).
    /// </summary>
    private const double DiagonalShare = 1e-13;

    /// <summary>Above zero, for a matrix of zeros.</summary>
    private const double Smallest = 1e-200;

    /// <param name="weight">W [out, in].</param>
    /// <param name="start">Random numbers [in, width].</param>
    /// <returns>X [out, width], not orthonormal; it belongs to the dispose scope that is open.</returns>
    public static Tensor Columns(Tensor weight, Tensor start)
    {
        Tensor transposed = weight.t(), columns = weight.mm(start), before = zeros_like(columns);
        Tensor momentum = zeros([], weight.dtype, weight.device);
        for (int round = 0; round < Rounds; round++)
        {
            using var scope = NewDisposeScope();
            Tensor inverse = InverseFactor(columns);
            Tensor basis = Product(columns, inverse), within = transposed.mm(basis);
            if (s_measured.Contains(round))
            {
                momentum = scope.MoveToOuter(Momentum(within));
            }

            Tensor next = scope.MoveToOuter(weight.mm(within) - (Product(before, inverse) * momentum));
            columns.Dispose();
            before.Dispose();
            (columns, before) = (next, scope.MoveToOuter(basis));
        }

        return columns;
    }

    /// <summary>β by the smallest eigenvalue of Qᵀ A Q, which is at most that of A's of the same number.</summary>
    private static Tensor Momentum(Tensor within)
    {
        Tensor wide = within.to(ScalarType.Float64);
        Tensor least = linalg.eigvalsh(wide.t().mm(wide)).min();
        return (least * least).Scale(0.25).to(within.dtype);
    }

    /// <summary>R⁻¹ in float64.</summary>
    private static Tensor InverseFactor(Tensor columns)
    {
        Tensor wide = columns.to(ScalarType.Float64);
        Tensor gram = wide.t().mm(wide), diagonal = gram.diagonal();
        diagonal.Accumulate(diagonal.sum().Scale(DiagonalShare).Shift(Smallest));
        Tensor lower = linalg.cholesky(gram);
        return linalg.solve_triangular(lower, eye(lower.shape[0], dtype: lower.dtype, device: lower.device), upper: false).t();
    }

    private static Tensor Product(Tensor columns, Tensor inverse) => columns.to(inverse.dtype).mm(inverse).to(columns.dtype);
}
