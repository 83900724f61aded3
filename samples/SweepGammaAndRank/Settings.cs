namespace SweepGammaAndRank;

/// <summary>What the command line says.</summary>
internal sealed record Settings
{
    /// <summary>tiny-llama-math, 1.2 million parameters, which the build puts beside the program.</summary>
    public static string BundledModel => Path.Combine(AppContext.BaseDirectory, "models", "tiny-llama-math");

    public required string Model { get; init; }

    public required string? Train { get; init; }

    public required int Trials { get; init; }

    public required int Rows { get; init; }

    public required int ValidationRows { get; init; }

    public required int Batch { get; init; }

    public required int LargestRank { get; init; }

    public required string Tuner { get; init; }

    public required bool Pruning { get; init; }

    public required int AtATime { get; init; }

    public required int Threads { get; init; }

    public required double? Minutes { get; init; }

    /// <summary>Worker processes that are started here; null without --workers.</summary>
    public required int? StartedWorkers { get; init; }

    /// <summary>A database that is there; null: one of one's own, where there are workers.</summary>
    public required string? Postgres { get; init; }

    /// <summary>The study's name in the database.</summary>
    public required string Study { get; init; }

    public required int DashboardPort { get; init; }

    /// <summary>Trials run in other processes, here or elsewhere.</summary>
    public bool HasWorkers => StartedWorkers is not null || Postgres is not null;

    public required string Out { get; init; }
}
