namespace CompareMethods;

/// <summary>What one process is to train. It evaluates validation rows and answers questions, where there are some.</summary>
internal sealed record RunRequest
{
    public required string Model { get; init; }

    /// <summary>A <see cref="MethodVariant.Key"/>.</summary>
    public required string Method { get; init; }

    public required double LearningRate { get; init; }

    public required int Seed { get; init; }

    public required int Steps { get; init; }

    public required int Batch { get; init; }

    public required int Rank { get; init; }

    public required int Rows { get; init; }

    public int ValidationRows { get; init; }

    public int AskedRows { get; init; }
}

/// <summary>What came of it.</summary>
internal sealed record RunResult
{
    public required RunRequest Request { get; init; }

    public required long TrainableParameters { get; init; }

    /// <summary>The median of all steps but the first; null where there was no other.</summary>
    public required double? SecondsPerStep { get; init; }

    /// <summary>The most memory that was resident before the training's end, in bytes.</summary>
    public required long PeakMemory { get; init; }

    /// <summary>The mean of the last tenth of the steps, in nats per response token; null where training diverged.</summary>
    public required double? FinalLoss { get; init; }

    public required double? ValidationLoss { get; init; }

    /// <summary>The share of right answers; 0 where training diverged.</summary>
    public required double? Accuracy { get; init; }

    /// <summary>Why training ended early, or null.</summary>
    public required string? Divergence { get; init; }
}
