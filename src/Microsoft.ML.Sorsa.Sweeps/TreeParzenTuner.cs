using System.Globalization;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// The tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011): the better trials give each option a density l, the others a
/// density g, and of some values drawn from l that of the largest l / g is tried. Options are looked at one by one, each among the trials
/// that have it.
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
    public string Description => string.Create(
        CultureInfo.InvariantCulture, $"tree-structured Parzen estimator, {StartupTrials} at random, {Candidates} candidates");

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
            return option.FromUnitInterval(drawn.MaxBy(x => l.LogDensity(x) - g.LogDensity(x)));

            // The name decides the number: with another one a study that goes on would propose other trials.
            double Uniform(int candidate, string what) =>
                SeededDraw.Uniform(seed, FormattableString.Invariant($"{trialId}/{name}/{candidate}/{what}"));

            ParzenDensity Density(IEnumerable<TrialResult> trials) => new(
                [
                    .. trials.Select(trial => trial.TrialSettings.Parameters).Where(parameters => parameters.ContainsKey(name))
                        .Select(parameters => option.ToUnitInterval(parameters[name])),
                ],
                option.Choices);
        });
    }

    private static int AtLeastOne(int value, string name) =>
        value >= 1 ? value : throw OptionRange.Error(name, value, "at least 1", "Leave it at its default");
}

/// <summary>
/// A density over the unit interval: a kernel on each value that a trial had, and the uniform density (the prior), all with the same
/// weight. For a range the kernels are normal, cut off at the ends, as wide as the larger distance to a neighbour. For choices a kernel is
/// uniform over its choice's part.
/// </summary>
internal sealed class ParzenDensity
{
    private readonly double[] _centers;
    private readonly double[] _widths;
    private readonly int? _choices;

    public ParzenDensity(double[] values, int? choices)
    {
        _centers = [.. values.Order()];
        _choices = choices;
        _widths = new double[_centers.Length];

        // No kernel is so narrow that one trial rules over its neighbourhood; the floor falls with the number of trials, as in hyperopt.
        double floor = 1.0 / Math.Min(100, 2 + _centers.Length);
        for (int i = 0; i < _centers.Length; i++)
        {
            double below = _centers[i] - (i > 0 ? _centers[i - 1] : 0);
            double above = (i + 1 < _centers.Length ? _centers[i + 1] : 1) - _centers[i];
            _widths[i] = Math.Clamp(Math.Max(below, above), floor, 1);
        }
    }

    /// <summary>Draws from the density.</summary>
    /// <param name="kernelDraw">A uniform number from 0 up to 1, which decides the kernel.</param>
    /// <param name="valueDraw">Another one, which decides the value under the kernel.</param>
    public double Draw(double kernelDraw, double valueDraw)
    {
        // The prior is the last of the kernels.
        int kernel = (int)(kernelDraw * (_centers.Length + 1));
        if (kernel >= _centers.Length)
        {
            return valueDraw;
        }

        if (_choices is { } choices)
        {
            return (Choice(_centers[kernel]) + 0.5) / choices;
        }

        // The quantile within the part of the normal distribution that lies between the ends, by bisection.
        double low = 0, high = 1;
        double start = Normal(0, kernel), end = Normal(1, kernel);
        for (int i = 0; i < 60; i++)
        {
            double middle = (low + high) / 2;
            (low, high) = Normal(middle, kernel) - start < valueDraw * (end - start) ? (middle, high) : (low, middle);
        }

        return Math.Min(low, Math.BitDecrement(1));
    }

    /// <summary>The logarithm of the density at x.</summary>
    public double LogDensity(double x)
    {
        double sum = 1;
        for (int kernel = 0; kernel < _centers.Length; kernel++)
        {
            sum += _choices is { } choices
                ? Choice(x) == Choice(_centers[kernel]) ? choices : 0
                : Math.Exp(-Math.Pow((x - _centers[kernel]) / _widths[kernel], 2) / 2)
                    / (_widths[kernel] * Math.Sqrt(2 * Math.PI) * (Normal(1, kernel) - Normal(0, kernel)));
        }

        return Math.Log(sum / (_centers.Length + 1));
    }

    private int Choice(double x) => Math.Min((int)(x * _choices!.Value), _choices.Value - 1);

    private double Normal(double x, int kernel) => 0.5 * (1 + Erf((x - _centers[kernel]) / (_widths[kernel] * Math.Sqrt(2))));

    /// <summary>The error function, to 1.5e-7 (Abramowitz and Stegun, 7.1.26): enough to draw from.</summary>
    private static double Erf(double x)
    {
        double t = 1 / (1 + 0.3275911 * Math.Abs(x));
        double polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
        return Math.Sign(x) * (1 - polynomial * Math.Exp(-x * x));
    }
}
