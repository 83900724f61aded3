namespace Microsoft.ML.Sorsa.Training;

/// <summary>What the loop is told; the trainer's Options say what each of them means and check them.</summary>
internal sealed record TrainingOptions
{
    public double LearningRate { get; init; } = 5e-4;

    public LearningRateDecay LearningRateDecay { get; init; } = LearningRateDecay.Cosine;

    public double WarmupRatio { get; init; } = 0.03;

    public double WeightDecay { get; init; }

    public double AdamBeta1 { get; init; } = 0.9;

    public double AdamBeta2 { get; init; } = 0.999;

    public double AdamEpsilon { get; init; } = 1e-8;

    /// <summary>Null: gradients are not clipped.</summary>
    public double? MaxGradNorm { get; init; } = 1;

    /// <summary>Steps between two looks at the validation rows.</summary>
    public int EvaluationSteps { get; init; } = int.MaxValue;

    /// <summary>Looks without a lower loss before training stops.</summary>
    public int EarlyStoppingPatience { get; init; } = int.MaxValue;

    public int PadTokenId { get; init; }
}
