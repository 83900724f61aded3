using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Analysis;

/// <summary>
/// W = U diag(s) Vᵀ in float64, with k = min(out, in) singular values in descending order. The sign of a pair of vectors is arbitrary; so
/// is the order of vectors of equal singular values, and their basis. The tensors belong to the dispose scope that was open.
/// </summary>
/// <param name="U">[out, k].</param>
/// <param name="S">[k].</param>
/// <param name="V">[in, k].</param>
internal sealed record SingularDecomposition(Tensor U, Tensor S, Tensor V)
{
    /// <summary>
    /// What the Gram matrix may lose: a singular vector found from it is off by ε₆₄ σ₁² / (σ gap), one of a matrix rounded to 32 bits by
    /// ε₃₂ σ₁ / gap. From this share of σ₁ on the first is below a thousandth of the second.
    /// </summary>
    private const double LeastShare = 1e-6;

    /// <summary>ε₆₄, the distance from 1 to the next number.</summary>
    private const double Epsilon = 2.220446049250313e-16;

    /// <summary>
    /// Decomposes a matrix. LAPACK's general routine takes three to four times as long as the eigenvectors of the smaller Gram matrix WᵀW
    /// or WWᵀ with the other side's as W v / σ; so that is the way where the matrix was rounded to 32 bits or fewer, and all its singular
    /// values are large enough.
    /// </summary>
    /// <param name="matrix">W [out, in], in float64, finite.</param>
    /// <param name="isRounded">Its values came from a narrower type.</param>
    public static SingularDecomposition Of(Tensor matrix, bool isRounded)
    {
        using var scope = NewDisposeScope();
        SingularDecomposition found = (isRounded ? OfGram(matrix) : null) ?? General(matrix);
        return new SingularDecomposition(scope.MoveToOuter(found.U), scope.MoveToOuter(found.S), scope.MoveToOuter(found.V));
    }

    /// <summary>The singular values alone, in descending order; those of rounding are 0.</summary>
    /// <inheritdoc cref="Of"/>
    public static double[] Values(Tensor matrix, bool isRounded)
    {
        using var scope = NewDisposeScope();
        if (!isRounded)
        {
            return Numbers(linalg.svdvals(matrix));
        }

        double[] squares = [.. Numbers(linalg.eigvalsh(Gram(Tall(matrix)))).OrderDescending()];
        double rounding = squares.Length * Epsilon * squares[0];
        return [.. squares.Select(square => square > rounding ? Math.Sqrt(square) : 0)];
    }

    public static double[] Numbers(Tensor tensor) => tensor.cpu().data<double>().ToArray();

    private static SingularDecomposition General(Tensor matrix)
    {
        (Tensor u, Tensor s, Tensor vt) = linalg.svd(matrix, fullMatrices: false);
        return new SingularDecomposition(u, s, vt.t());
    }

    /// <summary>Null where a singular value is too small for it.</summary>
    private static SingularDecomposition? OfGram(Tensor matrix)
    {
        Tensor tall = Tall(matrix);
        (_, Tensor ascending) = linalg.eigh(Gram(tall));
        Tensor vectors = ascending.flip(1), images = tall.mm(vectors), values = (images * images).sum(dim: 0).sqrt();
        (Tensor least, Tensor most) = values.aminmax();
        return least.item<double>() <= LeastShare * most.item<double>() ? null
            : ReferenceEquals(tall, matrix) ? new SingularDecomposition(images.div_(values), values, vectors)
            : new SingularDecomposition(vectors, values, images.div_(values));
    }

    private static Tensor Tall(Tensor matrix) => matrix.shape[0] >= matrix.shape[1] ? matrix : matrix.t();

    private static Tensor Gram(Tensor tall) => tall.t().mm(tall);
}
