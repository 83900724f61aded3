using Microsoft.ML.Sorsa.Analysis;

namespace ReproducePaper;

/// <summary>What a run is for.</summary>
internal enum RunKind
{
    /// <summary>The model before any training.</summary>
    Base,

    /// <summary>Chooses a learning rate, by the loss of validation rows.</summary>
    Tuning,

    /// <summary>What the tables and figures tell.</summary>
    Reported,

    /// <summary>Figure 3: another γ.</summary>
    Gamma,
}

/// <summary>One run of the study; with the study's settings it decides every number of the result.</summary>
internal sealed record Run
{
    public required RunKind Kind { get; init; }

    /// <summary>A <see cref="StudyMethod.Key"/>.</summary>
    public required string Method { get; init; }

    public required double LearningRate { get; init; }

    public required int Seed { get; init; }

    /// <summary>In place of the study's, for <see cref="RunKind.Gamma"/>.</summary>
    public double? Gamma { get; init; }
}

/// <summary>What came of a run.</summary>
internal sealed record RunResult
{
    public required Run Run { get; init; }

    public long TrainableParameters { get; init; }

    /// <summary>The median of all steps but the first and those that were analysed.</summary>
    public double? SecondsPerStep { get; init; }

    /// <summary>The most memory that was resident, in bytes.</summary>
    public long PeakMemory { get; init; }

    /// <summary>In nats per token; null where there were no validation rows or training diverged.</summary>
    public double? ValidationLoss { get; init; }

    public IReadOnlyList<StepRecord> Steps { get; init; } = [];

    public IReadOnlyList<MatrixAnalysis> Matrices { get; init; } = [];

    /// <summary>By the set's name; none where training diverged.</summary>
    public IReadOnlyList<Score> Scores { get; init; } = [];

    /// <summary>On general text, in nats per token.</summary>
    public double? TextLoss { get; init; }

    /// <summary>Of the multiple-choice questions.</summary>
    public Score? Choices { get; init; }

    /// <summary>Why training ended early, or did not begin: it diverged, or does not fit in memory; null: neither.</summary>
    public string? Divergence { get; init; }

    /// <summary>The score of a set of questions; null where it was not asked.</summary>
    public Score? Find(string test) => Scores.FirstOrDefault(score => score.Name == test);
}

/// <summary>A step of a training.</summary>
internal sealed record StepRecord(int Step, double Loss, double GradientNorm, double? Orthonormality);

/// <summary>Right answers of a set.</summary>
/// <param name="Name">The set's.</param>
/// <param name="Correct">Right ones.</param>
/// <param name="Total">Those with a verdict.</param>
/// <param name="Failed">Those without one.</param>
/// <param name="Problem">Why the first of them has none.</param>
internal sealed record Score(string Name, int Correct, int Total, int Failed = 0, string? Problem = null)
{
    public double Accuracy => (double)Correct / Total;
}
