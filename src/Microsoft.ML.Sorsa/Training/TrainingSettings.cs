using Microsoft.ML.Sorsa.Optimizers;
using static Microsoft.ML.Sorsa.Files.OptionRange;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>What the loop is told. The trainer's Options say what each of them means, have their defaults, and check them.</summary>
internal sealed record TrainingSettings
{
    public required double LearningRate { get; init; }

    public required LearningRateDecay LearningRateDecay { get; init; }

    public required double WarmupRatio { get; init; }

    public required double WeightDecay { get; init; }

    public required double AdamBeta1 { get; init; }

    public required double AdamBeta2 { get; init; }

    public required double AdamEpsilon { get; init; }

    /// <summary>Null: gradients are not clipped.</summary>
    public required double? MaxGradNorm { get; init; }

    public required RowOrder RowOrder { get; init; }

    public required int BatchSize { get; init; }

    public required int GradientAccumulationSteps { get; init; }

    public required int LogitsChunkSize { get; init; }

    public required bool GradientCheckpointing { get; init; }

    /// <summary>The model's float32 products on a GPU are computed in TF32.</summary>
    public required bool AllowTf32 { get; init; }

    public required int NumberOfEpochs { get; init; }

    /// <summary>Null: the epochs decide.</summary>
    public required int? MaxSteps { get; init; }

    /// <summary>Steps between two evaluations of the validation rows; null: one per epoch.</summary>
    public required int? EvaluationSteps { get; init; }

    /// <summary>Evaluations without a lower loss after which training stops; null: never.</summary>
    public required int? EarlyStoppingPatience { get; init; }

    public required int Seed { get; init; }

    /// <summary>What rows are padded with; the model's, not the user's.</summary>
    public int PadTokenId { get; init; }

    /// <summary>What the optimizer is told.</summary>
    public AdamWSettings ToAdamWSettings() => new(AdamBeta1, AdamBeta2, AdamEpsilon, WeightDecay);

    /// <summary>Refuses options that only validation rows give a meaning, where there are none.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and the remedy.</exception>
    public void VerifyWithoutValidationRows()
    {
        const string Other = "there are no validation rows to look at", Remedy = "Call Fit(train, validation), or leave it null";
        Fit(EarlyStoppingPatience is null, nameof(EarlyStoppingPatience), EarlyStoppingPatience, Other, Remedy);
        Fit(EvaluationSteps is null, nameof(EvaluationSteps), EvaluationSteps, Other, Remedy);
    }
}
