using System.Globalization;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>
/// What a run will need of memory: the formulas of <see cref="TrainingMemory"/> for its model and its micro-batches. Of the model only
/// headers are looked at.
/// </summary>
/// <param name="start">The model; opened, not loaded.</param>
/// <param name="microBatches">The micro-batches that settings make.</param>
/// <param name="free">What is free on the model's device; null where that cannot be told.</param>
internal sealed class MemoryEstimator(
    IPretrainedModel start, Func<FineTuningSettings, MicroBatches> microBatches, AvailableMemory? free)
{
    /// <summary>The estimate, with what would take less; null for a model of a class that is not ours.</summary>
    public SorsaMemoryEstimate? Estimate(FineTuningSettings settings)
    {
        if (Plain(settings) is not { } estimate)
        {
            return null;
        }

        bool Fits(FineTuningSettings changed) => Plain(changed)!.Fits ?? false;
        MemoryRemedy[] changes = [.. MemoryRemedies.Of(settings, Fits)];
        SorsaMemoryRemedy[] single = [.. changes
            .Select(change => new SorsaMemoryRemedy(change.Text, Plain(change.Change(settings))!.Peak))
            .Where(remedy => remedy.Peak < estimate.Peak - (estimate.Peak / 100))
            .OrderBy(remedy => remedy.Peak)];
        FineTuningSettings all = changes.Where(change => single.Any(remedy => remedy.Change == change.Text))
            .Aggregate(settings, (changed, remedy) => remedy.Change(changed));
        estimate.Remedies = single.Length < 2 ? single : [.. single, new SorsaMemoryRemedy("all of these", Plain(all)!.Peak)];
        return estimate;
    }

    /// <summary>Without a look at what else could be set.</summary>
    public SorsaMemoryEstimate? Plain(FineTuningSettings settings)
    {
        if (start.Sizes(settings) is not { } model)
        {
            return null;
        }

        MicroBatches batches = microBatches(settings);
        var memory = new TrainingMemory(model, new TrainingPlan
        {
            Method = settings.Method,
            MethodSettings = settings.MethodSettings,
            TargetModules = settings.TargetModules,
            Validation = batches.Validation,
            Accumulates = batches.Accumulates,
            GradientCheckpointing = settings.Training.GradientCheckpointing,
            LogitsChunkSize = settings.Training.LogitsChunkSize,
        });
        BatchSizes worst = batches.Training.MaxBy(memory.Step);
        return new SorsaMemoryEstimate
        {
            Device = start.Device.ToString(),
            Weights = memory.Weights,
            Adapters = memory.Adapters,
            Moments = memory.Moments,
            Gradients = memory.Gradients,
            BestWeights = memory.BestWeights,
            Activations = memory.Activations(worst),
            Logits = memory.Logits(worst),
            StartPeak = memory.Start,
            StepPeak = memory.Step(worst),
            ValidationPeak = memory.Validation,
            EndPeak = memory.End,
            Available = free?.Bytes,
            AvailableSource = free?.Source ?? "",
            Batch = string.Create(
                CultureInfo.InvariantCulture, $"{worst.Rows} × {worst.Width} tokens with {worst.Labels} labels"),
        };
    }
}
