using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// AdaLoRA's budget of triplets over the steps t of a run, t counted from 0 (Zhang et al., arXiv 2303.10512, Eq. 12): all of them up to
/// <see cref="WarmupSteps"/>, then cubically fewer, and those of <see cref="TargetRank"/> in the last <see cref="FinalSteps"/>. The
/// defaults are PEFT's. (Where validation rows keep the weights of the lowest loss, they stand pruned as far as they were then.)
/// </summary>
public sealed record RankBudget
{
    /// <summary>
    /// Triplets per projection that are left at the end, on average. Default null: half of Rank, rounded up. At least 1, at most Rank.
    /// </summary>
    public int? TargetRank { get; init; }

    /// <summary>
    /// t_i, the steps before the first pruning. Default 0; at least 0. Together with <see cref="FinalSteps"/> below the steps of the run.
    /// </summary>
    [OptionRange(0, int.MaxValue, "Use 0, as PEFT does")]
    public int WarmupSteps { get; init; }

    /// <summary>t_f, the last steps, over which what was pruned stays pruned. Default 0; at least 0.</summary>
    [OptionRange(0, int.MaxValue, "Use 0, as PEFT does")]
    public int FinalSteps { get; init; }

    /// <summary>ΔT, steps between two prunings; triplets that were pruned may grow back in between. Default 1; at least 1.</summary>
    [OptionRange(1, int.MaxValue, "Use 1, as PEFT does")]
    public int Interval { get; init; } = 1;

    /// <summary>β₁, how slowly the importance of a value follows |value · gradient|. Default 0.85; at least 0, below 1.</summary>
    [OptionRange(0, 1, "Use 0.85, as PEFT does", MaximumIsExclusive = true)]
    public double Beta1 { get; init; } = 0.85;

    /// <summary>β₂, how slowly its uncertainty follows. Default 0.85; at least 0, below 1.</summary>
    [OptionRange(0, 1, "Use 0.85, as PEFT does", MaximumIsExclusive = true)]
    public double Beta2 { get; init; } = 0.85;

    /// <summary>The triplets that are left after step t, of <paramref name="all"/>; in the end <paramref name="target"/>.</summary>
    internal int At(int step, int totalSteps, int all, int target)
    {
        if (step <= WarmupSteps)
        {
            return all;
        }

        double left = 1 - ((double)(step - WarmupSteps) / (totalSteps - FinalSteps - WarmupSteps));
        return step >= totalSteps - FinalSteps ? target : (int)((all - target) * (left * left * left) + target);
    }
}
