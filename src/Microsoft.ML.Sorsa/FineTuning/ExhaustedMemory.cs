using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.ML.Sorsa.Memory;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>
/// The error of a run that its device had no memory for after all: others took what was free, or it is in fragments.
/// </summary>
internal static class ExhaustedMemory
{
    /// <param name="settings">What the run was told.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="estimate">What it needs; null for a model of a class that is not ours.</param>
    /// <param name="failure">libtorch's own error.</param>
    [SuppressMessage("Usage", "CA2201", Justification = "It is what it says, of a device's memory; users catch it as such.")]
    public static OutOfMemoryException Error(
        FineTuningSettings settings, string device, SorsaMemoryEstimate? estimate, Exception failure) => new(
        $"The memory of {device} is exhausted. {Remedy(settings, estimate)} {Saved(settings, estimate)} "
        + $"libtorch says: {failure.Message.Split('\n')[0]}",
        failure);

    private static string Remedy(FineTuningSettings settings, SorsaMemoryEstimate? estimate) => estimate is { Remedies.Count: > 0 }
        ? $"Training needs {ByteText.Of(estimate.Peak)}; free memory, or set one of these: "
            + string.Join("; ", estimate.Remedies.Select(remedy => $"{remedy.Change} ({ByteText.Of(remedy.Peak)})")) + "."
        : string.Create(CultureInfo.InvariantCulture,
            $"Free memory, or lower BatchSize (now {settings.Training.BatchSize}; raise GradientAccumulationSteps), MaxPromptLength (now "
            + $"{settings.MaxPromptLength}) or MaxResponseLength (now {settings.MaxResponseLength}).");

    /// <summary>What is left of the run, and which remedy keeps it: any other makes another run.</summary>
    private static string Saved(FineTuningSettings settings, SorsaMemoryEstimate? estimate) =>
        settings.Checkpoints is not { } checkpoints
            ? "Nothing was saved."
            : $"The checkpoints in '{checkpoints.Folder}' stay"
                + (estimate is null || settings.Training.GradientCheckpointing
                    ? ", of the run with these options."
                    : $": with {nameof(settings.Training.GradientCheckpointing)} alone, training goes on from them.");
}
