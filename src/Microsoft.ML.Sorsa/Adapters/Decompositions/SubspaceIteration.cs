using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Decompositions;

/// <summary>
/// A basis [out, width] of what a matrix does most, by subspace iteration: for a card, on which products are nearly free and everything
/// that goes column by column is not. A round is X ← W (Wᵀ Q), with Q the orthonormal form of X by Cholesky's decomposition of XᵀX, which is
/// three operations on large matrices; in float64, since XᵀX has the square of X's condition.
/// </summary>
internal static class SubspaceIteration
{
    /// <summary>As many more columns than triplets, at least <see cref="TruncatedSvd"/>'s: what lies beyond them falls the faster.</summary>
    public const double Oversampling = 0.5;

    /// <summary>Rounds, by which the energy is that of block Krylov iteration with a basis seven times as wide.</summary>
    public const int Rounds = 12;

    /// <summary>
    /// Of XᵀX's trace is added to its diagonal, so that it is positive definite where columns depend on each other (Fukaya et al., SIAM J.
    /// Sci. Comput. 42, 2020: shifted Cholesky QR); they stay short, and come to nothing.
    /// </summary>
    private const double DiagonalShare = 1e-13;

    /// <summary>Above zero, for a matrix of zeros.</summary>
    private const double Smallest = 1e-200;

    /// <param name="weight">W [out, in], float32.</param>
    /// <param name="start">Random numbers [in, width].</param>
    /// <param name="rounds">How often W Wᵀ is applied.</param>
    /// <returns>X, in the span that is looked for, and not orthonormal; it belongs to the dispose scope that is open.</returns>
    public static Tensor Columns(Tensor weight, Tensor start, int rounds = Rounds)
    {
        Tensor columns = weight.mm(start), transposed = weight.t();
        for (int round = 0; round < rounds; round++)
        {
            using var scope = NewDisposeScope();
            Tensor next = weight.mm(transposed.mm(Orthonormal(columns)));
            columns.Dispose();
            columns = scope.MoveToOuter(next);
        }

        return columns;
    }

    private static Tensor Orthonormal(Tensor columns)
    {
        Tensor wide = columns.to(ScalarType.Float64);
        Tensor gram = wide.t().mm(wide);
        Tensor diagonal = gram.diagonal();
        diagonal.add_(diagonal.sum().Scale(DiagonalShare).Shift(Smallest));
        Tensor triangle = linalg.cholesky(gram);
        return linalg.solve_triangular(triangle, wide.t(), upper: false).t().to(columns.dtype);
    }
}
