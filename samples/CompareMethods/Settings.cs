namespace CompareMethods;

/// <summary>What the command line says.</summary>
internal sealed record Settings
{
    /// <summary>
    /// tiny-llama-math, 1.2 million parameters, which the build puts beside the program; its folder describes the task, too.
    /// </summary>
    public static string BundledModel => Path.Combine(AppContext.BaseDirectory, "models", "tiny-llama-math");

    public required string Model { get; init; }

    public required IReadOnlyList<MethodVariant> Methods { get; init; }

    /// <summary>Runs per method in the table, with the seeds 1, 2, ...; the search has seed 0.</summary>
    public required int Seeds { get; init; }

    public required int Steps { get; init; }

    public required int Batch { get; init; }

    public required int Rank { get; init; }

    public required int Rows { get; init; }

    public required int ValidationRows { get; init; }

    public required int AskedRows { get; init; }

    /// <summary>Trainings at a time.</summary>
    public required int Processes { get; init; }

    /// <summary>The folder for the runs' file, or null.</summary>
    public required string? Out { get; init; }
}
