using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Analysis;

/// <summary>When, and of which matrices, singular values and vectors are compared with those at the start.</summary>
public sealed record AnalysisOptions
{
    /// <summary>
    /// The optimizer steps between two looks: step Steps, 2 · Steps, ... and in any case the last one. Default null: the last one alone.
    /// At least 1. Steps that are not looked at cost nothing.
    /// </summary>
    [OptionRange(1, int.MaxValue, "Choose a larger number, or leave it null to look at the end alone")]
    public int? Steps { get; init; }

    /// <summary>
    /// The projections to look at, by name, such as q_proj. Default null: all that are adapted; of two models, every matrix in a layer.
    /// </summary>
    public IReadOnlyList<string>? TargetModules { get; init; }

    /// <summary>
    /// How many of the leading left singular vectors of a matrix may be intruders. Default 10, as in arXiv 2410.21228; at least 1.
    /// </summary>
    [OptionRange(1, int.MaxValue, "Use 10, as arXiv 2410.21228 does")]
    public int IntruderCandidates { get; init; } = 10;

    /// <summary>
    /// The cosine from which on a singular vector has a counterpart. Default 0.5, as in the program of arXiv 2410.21228; above 0, at most
    /// 1.
    /// </summary>
    [OptionRange(0, 1, "Use 0.5, as arXiv 2410.21228 does", MinimumIsExclusive = true)]
    public double IntruderThreshold { get; init; } = 0.5;

    /// <summary>Checks every range.</summary>
    /// <param name="owner">What errors put before a name.</param>
    /// <returns>The same, in lists of its own.</returns>
    /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
    internal AnalysisOptions Verified(string owner)
    {
        OptionRange.Verify(this, owner);
        OptionRange.Fit(
            TargetModules is not { Count: 0 }, owner + nameof(TargetModules), "empty", "nothing would be looked at",
            "Leave it null for all, or name one or more");
        return this with { TargetModules = TargetModules is null ? null : [.. TargetModules] };
    }
}
