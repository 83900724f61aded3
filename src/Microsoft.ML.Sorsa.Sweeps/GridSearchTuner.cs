using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps;

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
    public int Steps { get; } = steps >= 1
        ? steps
        : throw new ArgumentOutOfRangeException(nameof(steps), steps, string.Create(
            CultureInfo.InvariantCulture, $"steps is {steps}; it must be at least 1. Choose 3 to 5."));

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
