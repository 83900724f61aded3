using System.Reflection;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>What a training was: its base, data, options and curves. It belongs to the process that trained, and is not saved.</summary>
public sealed record SorsaTrainingRecord
{
    /// <summary>
    /// The name of the model that it started from: its id on Hugging Face where the folder tells it, else the folder's name; null for a
    /// model object without a folder.
    /// </summary>
    public string? BaseModel => Origin?.Name;

    /// <summary>The license of that model, as its folder says: such as apache-2.0; "unknown" where it says nothing.</summary>
    public string BaseLicense => Origin?.License.ToString() ?? ModelLicense.Unknown.ToString();

    /// <summary>What trained.</summary>
    public required FineTuningMethod Method { get; init; }

    /// <summary>
    /// The options that decide a run, in the order of the trainer's, without paths; what was null has the value that counted.
    /// </summary>
    public required IReadOnlyList<TrainingOption> Options { get; init; }

    /// <summary>The rows that were trained on.</summary>
    public required DataStatistics TrainData { get; init; }

    /// <summary>The rows that were validated on; null: none.</summary>
    public DataStatistics? ValidationData { get; init; }

    /// <summary>Values that the method trains.</summary>
    public required long TrainableParameters { get; init; }

    /// <summary>Optimizer steps that were planned; early stopping may have ended training before.</summary>
    public required int TotalSteps { get; init; }

    /// <summary>
    /// The loss of every step, in nats for each token to learn; of a training that was resumed, those before the interruption, too.
    /// </summary>
    public required IReadOnlyList<double> Losses { get; init; }

    /// <summary>Every evaluation of the validation rows: the step after which it was, and the loss. As whole as the losses.</summary>
    public required IReadOnlyList<(int Step, double Loss)> ValidationLosses { get; init; }

    /// <summary>All that was told of the steps that this process took: of a training that was resumed, those since.</summary>
    public required IReadOnlyList<SorsaTrainingProgress> Steps { get; init; }

    /// <summary>L_reg of Eq. (9) at the end; null for methods without singular vectors.</summary>
    public double? Orthonormality { get; init; }

    /// <summary>Where it computed: CPU or CUDA.</summary>
    public required string Device { get; init; }

    /// <summary>When this process began.</summary>
    public required DateTimeOffset Begun { get; init; }

    /// <summary>How long loading, training and looking at the merge took.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>The library's version.</summary>
    public static string LibraryVersion { get; } = typeof(SorsaTrainingRecord).Assembly
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    /// <summary>Where the model came from; null for an object without a folder.</summary>
    internal ModelOrigin? Origin { get; init; }
}

/// <summary>An option of a training, as text.</summary>
/// <param name="Name">As the trainer's options call it.</param>
/// <param name="Value">The same in every culture.</param>
/// <param name="IsDefault">Whether nobody had to set it.</param>
public sealed record TrainingOption(string Name, string Value, bool IsDefault);
