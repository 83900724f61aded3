using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>The error of a run that its device has no memory for.</summary>
internal static class ExhaustedMemory
{
    /// <param name="settings">What the run was told.</param>
    /// <param name="start">Where it computes.</param>
    /// <param name="failure">libtorch's own error.</param>
    [SuppressMessage("Usage", "CA2201", Justification = "It is what it says, of a device's memory; users catch it as such.")]
    public static OutOfMemoryException Error(FineTuningSettings settings, IPretrainedModel start, Exception failure) => new(
        $"The memory of {start.Device} is exhausted. Set {string.Join(", or ", Remedies(settings, start))}. {Saved(settings, start)} "
        + $"libtorch says: {failure.Message.Split('\n')[0]}",
        failure);

    /// <summary>What is left of the run, and which remedy keeps it: any other makes another run.</summary>
    private static string Saved(FineTuningSettings settings, IPretrainedModel start) => settings.Checkpoints is not { } checkpoints
        ? "Nothing was saved."
        : $"The checkpoints in '{checkpoints.Folder}' stay" + (CanCheckpoint(settings, start)
            ? $": with {nameof(TrainingSettings.GradientCheckpointing)} alone, training goes on from them."
            : ", of the run with these options.");

    private static bool CanCheckpoint(FineTuningSettings settings, IPretrainedModel start) =>
        !settings.Training.GradientCheckpointing && start is FolderModel;

    /// <summary>What can still be set to take less, by how little it costs.</summary>
    private static IEnumerable<string> Remedies(FineTuningSettings settings, IPretrainedModel start)
    {
        TrainingSettings training = settings.Training;
        MethodSettings method = settings.MethodSettings;
        if (CanCheckpoint(settings, start))
        {
            yield return $"{nameof(training.GradientCheckpointing)} to true";
        }

        if (training.BatchSize > 1)
        {
            yield return string.Create(CultureInfo.InvariantCulture,
                $"{nameof(training.BatchSize)} below {training.BatchSize}, and {nameof(training.GradientAccumulationSteps)} higher by as "
                + $"much");
        }

        if (settings.ComputeType == WeightType.Float32 && start is FolderModel)
        {
            yield return $"{nameof(settings.ComputeType)} to {WeightType.BFloat16}";
        }

        if (settings.Method.Has(nameof(method.Quantization)) && !method.IsQuantized && start is FolderModel)
        {
            yield return $"{nameof(method.Quantization)} to {BaseQuantization.NF4}";
        }

        if (settings.RequiredRank is { } rank and > 1)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"{nameof(method.Rank)} below {rank}");
        }

        yield return string.Create(CultureInfo.InvariantCulture,
            $"{nameof(settings.MaxPromptLength)} and {nameof(settings.MaxResponseLength)} lower (now {settings.MaxPromptLength} and "
            + $"{settings.MaxResponseLength})");
    }
}
