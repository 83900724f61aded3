namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>What the trials of an experiment did once instead of every time, in this process.</summary>
public sealed record SharedWork
{
    /// <summary>Matrices that were decomposed, at the largest rank that any trial can ask for.</summary>
    public required int Decompositions { get; init; }

    /// <summary>Decompositions that were found on disk instead.</summary>
    public required int DecompositionsReused { get; init; }

    /// <summary>The time that those took when they were made.</summary>
    public required TimeSpan DecompositionTimeSaved { get; init; }

    /// <summary>Rows that were turned into tokens.</summary>
    public required long RowsTokenized { get; init; }

    /// <summary>Rows that were in tokens already.</summary>
    public required long RowsReused { get; init; }

    /// <summary>Loads of the base model that mapped no file anew.</summary>
    public required int ModelLoadsSaved { get; init; }
}
