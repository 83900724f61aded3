using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>A change of the options after which a training takes less memory.</summary>
/// <param name="Text">The options and their values.</param>
/// <param name="Change">From settings to changed ones.</param>
internal sealed record MemoryRemedy(string Text, Func<FineTuningSettings, FineTuningSettings> Change);

/// <summary>What can be changed where memory is short: what costs time first, then what changes what is learnt.</summary>
internal static class MemoryRemedies
{
    /// <summary>Below so many triplets or columns hardly anything is saved.</summary>
    private const int LeastRank = 8;

    /// <summary>Below so many rows of scores at a time the loss becomes slow.</summary>
    private const int LeastChunk = 64;

    /// <param name="settings">As they are.</param>
    /// <param name="fits">Whether changed ones fit: numbers are lowered until they do, and no further.</param>
    public static IEnumerable<MemoryRemedy> Of(FineTuningSettings settings, Func<FineTuningSettings, bool> fits)
    {
        if (!settings.Training.GradientCheckpointing)
        {
            yield return new MemoryRemedy(
                $"{nameof(TrainingSettings.GradientCheckpointing)} = true",
                changed => changed with { Training = changed.Training with { GradientCheckpointing = true } });
        }

        if (settings.Training.LogitsChunkSize > LeastChunk)
        {
            yield return Lowered(settings, settings.Training.LogitsChunkSize, LeastChunk, WithChunk, fits);
        }

        // Where a row learns its end beside a longer one, it needs one.
        int leastBatch = settings.EndToken == EndToken.WherePadded ? 2 : 1;
        if (settings.Training.BatchSize > leastBatch)
        {
            yield return Lowered(settings, settings.Training.BatchSize, leastBatch, WithBatch, fits);
        }

        if (settings.Method.Has(nameof(MethodOptions.Quantization)) && !settings.MethodSettings.IsQuantized)
        {
            yield return new MemoryRemedy(
                $"{nameof(MethodSettings.Quantization)} = {BaseQuantization.NF4}",
                changed => changed with
                {
                    MethodSettings = changed.MethodSettings with { Quantization = BaseQuantization.NF4 },
                });
        }

        if (!settings.TrainsEveryWeight && settings.ComputeType == WeightType.Float32)
        {
            yield return new MemoryRemedy(
                $"{nameof(settings.ComputeType)} = {WeightType.BFloat16}", changed => changed with { ComputeType = WeightType.BFloat16 });
        }

        if (!settings.MapWeights)
        {
            yield return new MemoryRemedy($"{nameof(settings.MapWeights)} = true", changed => changed with { MapWeights = true });
        }

        if (settings.Method.Has(nameof(MethodOptions.Rank)) && settings.MethodSettings.RankOrDefault > LeastRank)
        {
            yield return Lowered(settings, settings.MethodSettings.RankOrDefault, LeastRank, WithRank, fits);
        }

        if (settings.MaxPromptLength > 1)
        {
            yield return Lowered(settings, settings.MaxPromptLength, settings.MaxPromptLength / 2, WithPromptLength, fits);
        }
    }

    private static MemoryRemedy WithBatch(FineTuningSettings settings, int size)
    {
        TrainingSettings training = settings.Training;
        long rows = (long)training.BatchSize * training.GradientAccumulationSteps;
        int batches = (int)Math.Min((rows + size - 1) / size, int.MaxValue);
        return new MemoryRemedy(
            string.Create(CultureInfo.InvariantCulture,
                $"{nameof(training.BatchSize)} = {size} and {nameof(training.GradientAccumulationSteps)} = {batches}"),
            changed => changed with
            {
                Training = changed.Training with { BatchSize = size, GradientAccumulationSteps = batches },
            });
    }

    private static MemoryRemedy WithChunk(FineTuningSettings settings, int size) => new(
        string.Create(CultureInfo.InvariantCulture, $"{nameof(TrainingSettings.LogitsChunkSize)} = {size}"),
        changed => changed with { Training = changed.Training with { LogitsChunkSize = size } });

    private static MemoryRemedy WithRank(FineTuningSettings settings, int rank) => new(
        string.Create(CultureInfo.InvariantCulture, $"{nameof(MethodSettings.Rank)} = {rank}"),
        changed => changed with { MethodSettings = changed.MethodSettings with { Rank = rank } });

    private static MemoryRemedy WithPromptLength(FineTuningSettings settings, int length) => new(
        string.Create(CultureInfo.InvariantCulture, $"{nameof(settings.MaxPromptLength)} = {length}"),
        changed => changed with { MaxPromptLength = length });

    /// <summary>Halved until it fits, or is the least that makes sense.</summary>
    private static MemoryRemedy Lowered(
        FineTuningSettings settings, int value, int least, Func<FineTuningSettings, int, MemoryRemedy> with,
        Func<FineTuningSettings, bool> fits)
    {
        MemoryRemedy lowered;
        do
        {
            value = Math.Max(value / 2, least);
            lowered = with(settings, value);
        }
        while (value > least && !fits(lowered.Change(settings)));

        return lowered;
    }
}
