namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// When a trial ends early: by successive halving and by a median rule, over the validation curve. Either looks at the lowest loss so far after as many looks, and
/// only at trials 1 to k − W, W the trials at a time: whether trial k goes on does not depend on who finishes first.
/// </summary>
public sealed record PruningOptions
{
    /// <summary>
    /// Asynchronous successive halving (Li et al., arXiv 1810.05934): at the rungs, after <see cref="FirstRung"/> · η^i looks, only a trial among the best 1/η
    /// goes on. Default true.
    /// </summary>
    public bool SuccessiveHalving { get; init; } = true;

    /// <summary>η. Default 2, which halves; at least 2. A larger one saves more, and more often ends what would have become the best.</summary>
    public int ReductionFactor { get; init; } = 2;

    /// <summary>Looks at the validation rows before the first rung. Default 1; at least 1.</summary>
    public int FirstRung { get; init; } = 1;

    /// <summary>At every look from <see cref="MedianAfter"/> on, a trial above the median of the others ends (Golovin et al., Vizier, KDD 2017). Default true.</summary>
    public bool Median { get; init; } = true;

    /// <summary>The first look at which the median counts. Default 2; at least 1.</summary>
    public int MedianAfter { get; init; } = 2;

    /// <summary>Earlier trials with that many looks without which neither rule decides. Default 4; at least 1.</summary>
    public int MinimumTrials { get; init; } = 4;
}
