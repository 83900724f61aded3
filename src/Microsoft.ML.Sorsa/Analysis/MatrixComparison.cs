using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Analysis;

/// <summary>
/// What became of a matrix, by singular values and vectors: W_0 = Σ σ_0 u_0 v_0ᵀ before, W_t = Σ σ_t u_t v_tᵀ after, each with
/// k = min(out, in) of them in descending order.
/// </summary>
/// <param name="SingularValueChange">ΔΣ.</param>
/// <param name="SingularVectorChange">ΔD.</param>
/// <param name="EffectiveRank">That of W_t − W_0.</param>
/// <param name="IntruderDimensions">How many of the leading u_t are near no u_0.</param>
internal sealed record MatrixComparison(
    double SingularValueChange, double SingularVectorChange, double EffectiveRank, int IntruderDimensions)
{
    /// <summary>Compares two matrices of one shape.</summary>
    /// <param name="initial">W_0 [out, in], of any type.</param>
    /// <param name="present">W_t [out, in].</param>
    /// <param name="candidates">How many of the leading u_t are looked at.</param>
    /// <param name="threshold">The cosine from which on one of them has a counterpart.</param>
    /// <exception cref="ArithmeticException">A value is not finite.</exception>
    public static MatrixComparison Of(Tensor initial, Tensor present, int candidates, double threshold)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        RequireFinite(initial, "W_0");
        RequireFinite(present, "W_t");
        bool isRounded = initial.dtype != ScalarType.Float64 || present.dtype != ScalarType.Float64;
        Tensor before = initial.to(ScalarType.Float64), after = present.to(ScalarType.Float64);
        SingularDecomposition from = SingularDecomposition.Of(before, isRounded), to = SingularDecomposition.Of(after, isRounded);
        return new MatrixComparison(
            ValueChange(from, to), VectorChange(from, to), RankOf(SingularDecomposition.Values(after - before, isRounded)),
            Intruders(from.U, to.U, candidates, threshold));
    }

    /// <summary>As a row of an analysis.</summary>
    /// <param name="step">Optimizer steps that were done.</param>
    /// <param name="path">The matrix's name, without ".weight".</param>
    /// <param name="orthonormality">Of the trained factors; null where there are none.</param>
    public MatrixAnalysis ToRow(int step, string path, double? orthonormality) => new()
    {
        Step = step,
        Path = path,
        SingularValueChange = SingularValueChange,
        SingularVectorChange = SingularVectorChange,
        Orthonormality = orthonormality,
        EffectiveRank = EffectiveRank,
        IntruderDimensions = IntruderDimensions,
    };

    /// <summary>Eq. (1): ΔΣ = (1/k) Σ |σ_t − σ_0|.</summary>
    private static double ValueChange(SingularDecomposition from, SingularDecomposition to) =>
        (to.S - from.S).abs().mean().item<double>();

    /// <summary>
    /// Eq. (2) to (4): ΔD = 1 − (1/2k) Σ (|⟨u_t, u_0⟩| + |⟨v_t, v_0⟩|), from 0 to 1 but for rounding. Vectors are compared place by place:
    /// two whose singular values change places count as changed.
    /// </summary>
    private static double VectorChange(SingularDecomposition from, SingularDecomposition to) =>
        Math.Clamp(1 - (Likeness(from.U, to.U) + Likeness(from.V, to.V)) / 2, 0, 1);

    /// <summary>The mean of |⟨a, b⟩| over the columns.</summary>
    private static double Likeness(Tensor a, Tensor b) => (a * b).sum(dim: 0).abs_().mean().item<double>();

    /// <summary>
    /// The effective rank of Roy and Vetterli (2007): exp(−Σ p ln p) with p = σ / Σσ. 1 where one direction has everything, n where n are
    /// equal, 0 where there is nothing.
    /// </summary>
    private static double RankOf(double[] values)
    {
        double sum = values.Sum();
        return sum == 0 ? 0 : Math.Exp(-values.Where(value => value > 0).Sum(value => value / sum * Math.Log(value / sum)));
    }

    /// <summary>
    /// Intruder dimensions (arXiv 2410.21228, algorithm 1): the u_t among the leading ones whose largest |⟨u_t, u_0⟩| over all u_0 is below
    /// the threshold.
    /// </summary>
    private static int Intruders(Tensor before, Tensor after, int candidates, double threshold)
    {
        Tensor leading = after.narrow(1, 0, Math.Min(candidates, after.shape[1]));
        (Tensor nearest, _) = leading.t().mm(before).abs_().max(dim: 1);
        return (int)nearest.IsBelow(threshold).sum().item<long>();
    }

    private static void RequireFinite(Tensor matrix, string name)
    {
        if (!TensorValues.AreFinite(matrix))
        {
            throw new ArithmeticException($"{name} holds values that are not finite, so that it has no singular values.");
        }
    }
}
