using System.Globalization;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// The tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011): the better trials give each option a density l, the others a density g, and of some
/// values drawn from l that of the largest l / g is tried. Options are looked at one by one, each among the trials that have it.
/// </summary>
/// <param name="startupTrials">Trials that are drawn at random before. Default 8; at least 1.</param>
/// <param name="candidates">Values drawn from l for each option. Default 24; at least 1.</param>
public sealed class TreeParzenTuner(int startupTrials = 8, int candidates = 24) : ITuner
{
    /// <summary>The share of the better trials, as in hyperopt; in all at most <see cref="MostBetter"/>.</summary>
    private const double BetterShare = 0.25;

    private const int MostBetter = 25;

    /// <summary>Trials that are drawn at random before.</summary>
    public int StartupTrials { get; } = AtLeastOne(startupTrials, nameof(startupTrials));

    /// <summary>Values drawn from l for each option.</summary>
    public int Candidates { get; } = AtLeastOne(candidates, nameof(candidates));

    /// <inheritdoc/>
    public string Description => string.Create(CultureInfo.InvariantCulture, $"tree-structured Parzen estimator, {StartupTrials} at random, {Candidates} candidates");

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, object?>? Propose(SorsaSearchSpace space, int trialId, TrialHistory history, int seed)
    {
        ArgumentNullException.ThrowIfNull(space);
        ArgumentNullException.ThrowIfNull(history);
        if (history.Trials.Count < StartupTrials)
        {
            return new RandomSearchTuner().Propose(space, trialId, history, seed);
        }

        IReadOnlyList<TrialResult> ranked = history.Ranked;
        int better = Math.Min(MostBetter, (int)Math.Ceiling(BetterShare * ranked.Count));
        return space.Parameters((name, option) =>
        {
            ParzenDensity l = Density(ranked.Take(better)), g = Density(ranked.Skip(better));
            double[] drawn = [.. Enumerable.Range(0, Candidates).Select(i => l.Draw(Uniform(i, "part"), Uniform(i, "place")))];
            return option.At(drawn.MaxBy(place => l.LogDensity(place) - g.LogDensity(place)));

            double Uniform(int candidate, string what) => SeededDraw.Uniform(seed, FormattableString.Invariant($"{trialId}/{name}/{candidate}/{what}"));

            ParzenDensity Density(IEnumerable<TrialResult> trials) => new(
                [.. trials.Where(trial => trial.TrialSettings.Parameters.ContainsKey(name)).Select(trial => option.PlaceOf(trial.TrialSettings.Parameters[name]))], option.Choices);
        });
    }

    private static int AtLeastOne(int value, string name) => value >= 1
        ? value
        : throw new ArgumentOutOfRangeException(name, value, string.Create(CultureInfo.InvariantCulture, $"{name} is {value}; it must be at least 1. Leave it at its default."));
}
