using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>The micro-batches of a run that may take the most memory, in sizes: no other has both more tokens and more labels.</summary>
/// <param name="Training">Those that are trained on.</param>
/// <param name="Validation">Those of the validation rows; empty where there are none.</param>
/// <param name="Accumulates">A step has several.</param>
internal sealed record MicroBatches(IReadOnlyList<BatchSizes> Training, IReadOnlyList<BatchSizes> Validation, bool Accumulates)
{
    /// <summary>
    /// So many rows of a run are looked at: a third of a second, once for every remedy that is tried. In a longer run the longest rows are
    /// taken to meet.
    /// </summary>
    private const int LookedAt = 500_000;

    /// <summary>Those that rows make, over all steps of the run.</summary>
    /// <param name="settings">Lengths below those that the rows were made with cut them further.</param>
    /// <param name="train">Rows to train on.</param>
    /// <param name="validation">The others; empty: none.</param>
    public static MicroBatches Of(
        FineTuningSettings settings, IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation)
    {
        TrainingSettings training = settings.Training;
        (train, validation) = (Shortened(train, settings), Shortened(validation, settings));
        var plan = new BatchPlan(train, training.BatchSize, training.GradientAccumulationSteps, training.Seed, training.RowOrder);
        int steps = plan.DistinctSteps(plan.TotalSteps(training.NumberOfEpochs, training.MaxSteps));
        long rowsPerStep = Math.Min((long)training.BatchSize * training.GradientAccumulationSteps, train.Count);
        int seen = (int)Math.Min(steps, Math.Max(LookedAt / rowsPerStep, 1));
        IEnumerable<IReadOnlyList<SupervisedExample>> microBatches = plan.Steps(0, seen).SelectMany(step => step);
        if (seen < steps)
        {
            microBatches = microBatches.Append(
                BatchPlan.Collate([.. train.OrderByDescending(row => row.Length).Take(training.BatchSize)]));
        }

        var group = new TrainingGroup(settings.Ranks);
        return new MicroBatches(
            Largest(microBatches.Select(group.Share).Where(share => share.Count > 0)),
            Largest(BatchPlan.ByLength(validation, training.BatchSize)),
            training.GradientAccumulationSteps > 1 && train.Count > training.BatchSize);
    }

    /// <summary>The longest that the options allow, where there are no rows yet.</summary>
    /// <param name="settings">Options that only validation rows give a meaning say that there will be some.</param>
    /// <param name="maxPositions">Tokens that a text may have.</param>
    public static MicroBatches Longest(FineTuningSettings settings, int maxPositions)
    {
        TrainingSettings training = settings.Training;
        long width = Math.Min((long)settings.MaxPromptLength + settings.MaxResponseLength, maxPositions);
        long labels = Math.Max(width - 1, 1);
        if (settings.TrainedTokens == TrainedTokens.Response)
        {
            labels = Math.Min(settings.MaxResponseLength, labels);
        }

        var longest = new BatchSizes(training.BatchSize, width, training.BatchSize * labels);
        bool validates = (training.EvaluationSteps ?? training.EarlyStoppingPatience) is not null;
        long share = (training.BatchSize - 1) / new TrainingGroup(settings.Ranks).Count + 1;
        return new MicroBatches(
            [new BatchSizes(share, width, share * labels)], validates ? [longest] : [], training.GradientAccumulationSteps > 1);
    }

    private static List<BatchSizes> Largest(IEnumerable<IReadOnlyList<SupervisedExample>> microBatches)
    {
        var largest = new List<BatchSizes>();
        foreach (BatchSizes batch in microBatches.Select(Sizes).Distinct()
            .OrderByDescending(batch => batch.Tokens).ThenByDescending(batch => batch.Labels))
        {
            if (largest.Count == 0 || batch.Labels > largest[^1].Labels)
            {
                largest.Add(batch);
            }
        }

        return largest;
    }

    private static BatchSizes Sizes(IReadOnlyList<SupervisedExample> rows) =>
        new(rows.Count, rows.Max(row => row.Ids.Length), rows.Sum(row => (long)row.LabelCount));

    /// <summary>A prompt that is not learnt loses tokens of its own, a text that is learnt as a whole its end.</summary>
    private static IReadOnlyList<SupervisedExample> Shortened(IReadOnlyList<SupervisedExample> rows, FineTuningSettings settings)
    {
        long whole = settings.TrainedTokens == TrainedTokens.All
            ? (long)settings.MaxPromptLength + settings.MaxResponseLength
            : int.MaxValue;
        return rows.All(row => row.PromptLength <= settings.MaxPromptLength && row.Ids.Length <= whole)
            ? rows
            : [.. rows.Select(row => row.PromptLength <= settings.MaxPromptLength
                ? row.CutTo((int)Math.Min(whole, int.MaxValue))
                : new SupervisedExample(
                    new int[row.Ids.Length - row.PromptLength + settings.MaxPromptLength], settings.MaxPromptLength)
                {
                    EndsIfPadded = row.EndsIfPadded,
                })];
    }
}
