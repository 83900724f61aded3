using System.Globalization;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// When a trial ends early: by successive halving and by a median rule, over the validation curve. Either compares the lowest loss so far
/// with that of others after as many evaluations, and only of trials 1 to k − W, W the trials at a time: whether trial k goes on does not
/// depend on who finishes first.
/// </summary>
public sealed record PruningOptions
{
    /// <summary>
    /// Asynchronous successive halving (Li et al., arXiv 1810.05934): at the rungs, after <see cref="FirstRung"/> · η^i evaluations, only
    /// a trial among the best 1/η goes on. Default true.
    /// </summary>
    public bool SuccessiveHalving { get; init; } = true;

    /// <summary>
    /// η. Default 2, which halves; at least 2. A larger one saves more, and more often ends what would have become the best.
    /// </summary>
    [OptionRange(2, int.MaxValue, "Use 2, or 3 or 4 to end more trials")]
    public int ReductionFactor { get; init; } = 2;

    /// <summary>Evaluations of the validation loss before the first rung. Default 1; at least 1.</summary>
    [OptionRange(1, int.MaxValue, "Use 1")]
    public int FirstRung { get; init; } = 1;

    /// <summary>
    /// At every evaluation from <see cref="MedianAfter"/> on, a trial above the median of the others ends (Golovin et al., Vizier, KDD
    /// 2017). Default true.
    /// </summary>
    public bool Median { get; init; } = true;

    /// <summary>The first evaluation at which the median counts. Default 2; at least 1.</summary>
    [OptionRange(1, int.MaxValue, "Use 2")]
    public int MedianAfter { get; init; } = 2;

    /// <summary>Earlier trials with that many evaluations without which neither rule decides. Default 4; at least 1.</summary>
    [OptionRange(1, int.MaxValue, "Use 4")]
    public int MinimumTrials { get; init; } = 4;
}

/// <summary>Turns earlier trials into limits: known before a trial starts, so that whoever runs it, wherever, can end it.</summary>
/// <param name="options">The rules; null: no trial ends early.</param>
internal sealed class PruningRules(PruningOptions? options)
{
    /// <summary>Everything that decides, as a study writes it down.</summary>
    public string Description => options is null ? "none" : string.Create(CultureInfo.InvariantCulture,
        $"successive halving {options.SuccessiveHalving} (η {options.ReductionFactor}, first rung {options.FirstRung}), "
        + $"median {options.Median} (after {options.MedianAfter}), from {options.MinimumTrials} trials");

    public void Validate()
    {
        if (options is not null)
        {
            OptionRange.Verify(options, $"{nameof(PruningOptions)}.");
        }
    }

    /// <summary>
    /// By evaluation, from the first: the largest lowest-loss-so-far with which a trial goes on; infinite where nothing decides.
    /// After the last of them nothing does.
    /// </summary>
    public IReadOnlyList<double> Limits(IReadOnlyList<TrialResult> history)
    {
        if (options is null)
        {
            return [];
        }

        int evaluations = history.Select(trial => trial.Curve.Count).DefaultIfEmpty().Max();
        return [.. Enumerable.Range(1, evaluations).Select(evaluation => Limit(history, evaluation))];
    }

    private double Limit(IReadOnlyList<TrialResult> history, int evaluation)
    {
        double[] losses =
        [
            .. history.Where(trial => trial.Curve.Count >= evaluation)
                .Select(trial => trial.Curve.Take(evaluation).Min(point => point.Loss)).Order(),
        ];
        if (losses.Length < options!.MinimumTrials)
        {
            return double.PositiveInfinity;
        }

        double limit = double.PositiveInfinity;
        if (options.SuccessiveHalving && IsRung(evaluation))
        {
            // Among the best 1/η of these and itself: not above the last of them that would stay.
            int best = Math.Max(1, (losses.Length + 1) / options.ReductionFactor);
            limit = losses[best - 1];
        }

        if (options.Median && evaluation >= options.MedianAfter)
        {
            double median = (losses[(losses.Length - 1) / 2] + losses[losses.Length / 2]) / 2;
            limit = Math.Min(limit, median);
        }

        return limit;
    }

    private bool IsRung(int evaluation)
    {
        long rung = options!.FirstRung;
        while (rung < evaluation)
        {
            rung *= options.ReductionFactor;
        }

        return rung == evaluation;
    }
}
