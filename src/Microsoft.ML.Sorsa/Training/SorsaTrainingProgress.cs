namespace Microsoft.ML.Sorsa.Training;

/// <summary>Where training stands after a step.</summary>
public sealed record SorsaTrainingProgress
{
    /// <summary>Optimizer steps done, from 1.</summary>
    public required int Step { get; init; }

    /// <summary>Optimizer steps of the whole run; early stopping may end it before.</summary>
    public required int TotalSteps { get; init; }

    /// <summary>Values that the method trains; the same at every step.</summary>
    public required long TrainableParameters { get; init; }

    /// <summary>Mean cross-entropy in nats over the tokens that this step's rows learn, the regularizer not included.</summary>
    public required double Loss { get; init; }

    /// <summary>η_t, what this step was taken with.</summary>
    public required double LearningRate { get; init; }

    /// <summary>
    /// The global norm of the loss's gradient before clipping. It does not include SORSA's regularizer, which is added after clipping, but
    /// does include AdaLoRA's, which is part of the loss.
    /// </summary>
    public required double GradientNorm { get; init; }

    /// <summary>L_reg of Eq. (9) before this step; null where γ = 0, which computes none, and for methods without it.</summary>
    public required double? Orthonormality { get; init; }

    /// <summary>The mean loss of the validation rows, where they were evaluated after this step.</summary>
    public required double? ValidationLoss { get; init; }

    /// <summary>Tokens (padding not counted) per second since the start.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>The time that the remaining steps take at the speed so far.</summary>
    public required TimeSpan Remaining { get; init; }
}
