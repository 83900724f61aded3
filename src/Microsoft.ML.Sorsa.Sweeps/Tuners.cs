using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Proposes the parameters of trials. A proposal follows from what is handed in alone: a study that goes on after a crash, on whichever
/// machine, asks again and must hear the same.
/// </summary>
public interface ITuner
{
    /// <summary>Its name and everything that decides its proposals, as a study writes it down.</summary>
    string Description { get; }

    /// <summary>A value for each option of the space, in its order; null when there is nothing left to try.</summary>
    /// <param name="space">The options.</param>
    /// <param name="trialId">The trial's number, from 1.</param>
    /// <param name="history">The results of trials 1 to k − W in their order, W the trials at a time.</param>
    /// <param name="seed">The experiment's seed.</param>
    IReadOnlyDictionary<string, object?>? Propose(SorsaSearchSpace space, int trialId, TrialHistory history, int seed);
}

/// <summary>The trials that a decision may rest on, in their order.</summary>
/// <param name="Trials">Completed, pruned and failed ones.</param>
/// <param name="IsMaximized">A higher metric is better.</param>
public sealed record TrialHistory(IReadOnlyList<TrialResult> Trials, bool IsMaximized)
{
    /// <summary>
    /// From the best to the worst: completed trials by their metric, then pruned ones by the evaluations that they reached and their
    /// lowest loss, then failed ones; those that are alike in their order.
    /// </summary>
    public IReadOnlyList<TrialResult> Ranked =>
    [
        .. Trials.Where(trial => trial.State == TrialState.Completed).OrderBy(trial => IsMaximized ? -trial.Metric : trial.Metric),
        .. Trials.Where(trial => trial.State == TrialState.Pruned)
            .OrderByDescending(trial => trial.Curve.Count).ThenBy(trial => trial.LowestLoss),
        .. Trials.Where(trial => trial.State == TrialState.Failed),
    ];

    /// <summary>The best of the completed trials, the earlier one of equal ones; null where there is none.</summary>
    public TrialResult? Best => Ranked is [{ State: TrialState.Completed } best, ..] ? best : null;
}

/// <summary>Every trial drawn anew, whatever the others gave (Bergstra and Bengio, JMLR 2012).</summary>
public sealed class RandomSearchTuner : ITuner
{
    /// <inheritdoc/>
    public string Description => "random search";

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, object?>? Propose(SorsaSearchSpace space, int trialId, TrialHistory history, int seed)
    {
        ArgumentNullException.ThrowIfNull(space);
        return space.Parameters(
            (name, option) => option.FromUnitInterval(SeededDraw.Uniform(seed, FormattableString.Invariant($"{trialId}/{name}"))));
    }
}

/// <summary>Numbers that follow from a seed and a name alone: whoever asks, whenever, and how often.</summary>
internal static class SeededDraw
{
    /// <summary>Uniform from 0 up to 1: the first 53 bits of SHA-256 over the seed and the name.</summary>
    public static double Uniform(int seed, string name)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(FormattableString.Invariant($"{seed}/{name}")), hash);
        return (BinaryPrimitives.ReadUInt64LittleEndian(hash) >> 11) * (1.0 / (1UL << 53));
    }

    /// <summary>0 to count − 1 in an order of their own.</summary>
    public static int[] Permutation(int seed, string name, int count) =>
        [.. Enumerable.Range(0, count).OrderBy(i => Uniform(seed, FormattableString.Invariant($"{name}/{i}")))];
}

/// <summary>
/// All combinations in turn, the last option first; the experiment ends with them. Combinations that differ only in options which their
/// method does not have are tried each: give such methods an experiment of their own.
/// </summary>
/// <param name="steps">
/// Values of a range, evenly spaced on its scale, both ends among them. Of choices all are tried. Default 4; at least 1.
/// </param>
public sealed class GridSearchTuner(int steps = 4) : ITuner
{
    /// <summary>Values of a range.</summary>
    public int Steps { get; } = steps >= 1 ? steps : throw OptionRange.Error(nameof(steps), steps, "at least 1", "Choose 3 to 5");

    /// <inheritdoc/>
    public string Description => string.Create(CultureInfo.InvariantCulture, $"grid search, {Steps} values of a range");

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, object?>? Propose(SorsaSearchSpace space, int trialId, TrialHistory history, int seed)
    {
        ArgumentNullException.ThrowIfNull(space);
        var values = space.ToDictionary(option => option.Key, option => option.Value.Grid(Steps), StringComparer.Ordinal);
        var digits = new Dictionary<string, int>(StringComparer.Ordinal);
        long rest = trialId - 1;
        foreach ((string name, _) in space.Reverse())
        {
            (rest, long digit) = Math.DivRem(rest, values[name].Count);
            digits[name] = (int)digit;
        }

        return rest > 0 ? null : space.Parameters((name, _) => values[name][digits[name]]);
    }
}
