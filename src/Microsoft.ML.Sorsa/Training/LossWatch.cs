using System.Globalization;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>Warns of a loss that jumps, and of a training that ends worse than it began.</summary>
/// <param name="vocabularySize">V: a model that knows nothing has a loss of ln V.</param>
/// <param name="warn">Told each of them once.</param>
internal sealed class LossWatch(int vocabularySize, Action<string> warn)
{
    /// <summary>The losses that a jump is compared with, and the factor above their median.</summary>
    private const int Window = 50, Fewest = 5, Factor = 3;

    /// <summary>Fewer steps than these say nothing about where a training leads.</summary>
    private const int FewestToCompare = 20;

    private bool _isHigh;

    /// <summary>Looks at the newest loss, beside those before it.</summary>
    /// <param name="losses">Of every step so far.</param>
    public void AfterStep(IReadOnlyList<double> losses)
    {
        double[] before = [.. losses.Skip(Math.Max(0, losses.Count - 1 - Window)).SkipLast(1)];
        if (before.Length < Fewest)
        {
            return;
        }

        double median = Median(before), limit = Math.Max(Factor * median, Math.Log(vocabularySize) / 2);
        bool isHigh = losses[^1] > limit;
        if (isHigh && !_isHigh)
        {
            warn(string.Create(CultureInfo.InvariantCulture,
                $"The loss jumped to {losses[^1]:G4} at step {losses.Count}; the median of the {before.Length} steps before is "
                + $"{median:G4}. Lower LearningRate or raise WarmupRatio if it stays high; look for broken rows in the data if it jumps "
                + $"again."));
        }

        _isHigh = isHigh;
    }

    /// <summary>Compares the last steps with the first ones.</summary>
    public void AtEnd(IReadOnlyList<double> losses)
    {
        if (losses.Count < FewestToCompare)
        {
            return;
        }

        int share = losses.Count / 10;
        double first = Median([.. losses.Take(share)]), last = Median([.. losses.TakeLast(share)]);
        if (last > first)
        {
            warn(string.Create(CultureInfo.InvariantCulture,
                $"Training ended worse than it began: the median loss of the last {share} steps is {last:G4}, that of the first "
                + $"{first:G4}. Lower LearningRate, and train again from the base."));
        }
    }

    private static double Median(double[] values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
