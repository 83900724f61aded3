using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// How GaLore projects the gradients of the targets (Zhao et al., arXiv 2403.03507). P are the leading singular vectors of the gradient
/// G [out, in], on its smaller side, as many as Rank says; a smaller side than that is kept whole. Of large matrices they come from the
/// randomised decomposition, which Seed and step decide.
/// <code>W ← W − η · α · AdamW(G Pᵀ) P   where out ≥ in, P [r, in];   W ← W − η · α · P AdamW(Pᵀ G)   else, P [out, r]</code>
/// The defaults are those of the authors' examples.
/// </summary>
public sealed record GradientProjection
{
    /// <summary>
    /// T, the steps between two decompositions: P is taken anew from the gradient of each step, counted from 0, that T divides. AdamW's
    /// moments stay as they are then. Default 200, so that a run of fewer steps keeps the P of its first one; at least 1.
    /// </summary>
    [OptionRange(1, int.MaxValue, "Use 200, as the authors do")]
    public int UpdateSteps { get; init; } = 200;

    /// <summary>
    /// α, what the targets' updates are multiplied with on the way back: with LearningRate η the targets move at α · η and everything else
    /// at η. Default 0.25; above 0.
    /// </summary>
    [OptionRange(0, double.MaxValue, "Use 0.25, as the authors do", MinimumIsExclusive = true)]
    public double Scale { get; init; } = 0.25;

    /// <summary>
    /// Only the targets train, as in partial fine-tuning: embeddings, norms and the head stay, and so do projections that are no targets.
    /// Default false: they train, by AdamW without a projection, as in the authors' code.
    /// </summary>
    public bool TargetsOnly { get; init; }
}
