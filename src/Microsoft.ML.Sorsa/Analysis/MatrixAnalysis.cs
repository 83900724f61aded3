namespace Microsoft.ML.Sorsa.Analysis;

/// <summary>
/// What became of one matrix until one step: W_t beside W_0, what training started from. With W = Σ σ u vᵀ over k = min(out, in) singular
/// values in descending order, in float64.
/// </summary>
public sealed record MatrixAnalysis
{
    /// <summary>Optimizer steps that were done; 0 where two models were compared.</summary>
    public required int Step { get; init; }

    /// <summary>The projection's name in the model, such as model.layers.3.self_attn.q_proj.</summary>
    public required string Path { get; init; }

    /// <summary>ΔΣ, Eq. (1) of the paper: (1/k) Σ |σ_t − σ_0|, in the matrix's own unit. At least 0.</summary>
    public required double SingularValueChange { get; init; }

    /// <summary>
    /// ΔD, Eq. (2) to (4) of the paper: 1 − (1/2k) Σ (|⟨u_t, u_0⟩| + |⟨v_t, v_0⟩|). From 0, where no singular vector turned, to 1. Vectors
    /// are compared place by place, so that two of close singular values that change places count as turned.
    /// </summary>
    public required double SingularVectorChange { get; init; }

    /// <summary>
    /// ‖UᵀU − I‖_F + ‖VᵀV − I‖_F of what the method trains: Eq. (9) for this matrix. Null for methods without singular vectors.
    /// </summary>
    public required double? Orthonormality { get; init; }

    /// <summary>
    /// How many directions the update W_t − W_0 has: exp of the entropy of σ / Σσ (Roy and Vetterli, 2007). From 1 to k; 0 where nothing
    /// changed. Other than <see cref="Adapters.MatrixMerge.EffectiveRank"/>, weak directions count by their size, not by its square.
    /// </summary>
    public required double EffectiveRank { get; init; }

    /// <summary>
    /// Of the leading left singular vectors of W_t, those without a counterpart in W_0: every |⟨u_t, u_0⟩| is below the threshold
    /// (arXiv 2410.21228). From 0 to <see cref="AnalysisOptions.IntruderCandidates"/>.
    /// </summary>
    public required int IntruderDimensions { get; init; }

    /// <summary>The layer that the matrix is in, the first number in <see cref="Path"/>; null where there is none.</summary>
    public int? Layer => LayerNumber.In(Path);

    /// <summary>The last part of <see cref="Path"/>, such as q_proj.</summary>
    public string Module => Path[(Path.LastIndexOf('.') + 1)..];
}
