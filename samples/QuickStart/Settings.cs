using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Data;

namespace QuickStart;

/// <summary>What the command line says.</summary>
internal sealed record Settings
{
    /// <summary>tiny-llama-math, 1.2 million parameters, which the build puts beside the program.</summary>
    public static string BundledModel => Path.Combine(AppContext.BaseDirectory, "models", "tiny-llama-math");

    /// <summary>Alpaca's instruction prompt with the response on a line of its own: the form of the bundled model's task.</summary>
    public static PromptTemplate Template { get; } = PromptTemplate.Format(PromptTemplate.Alpaca + "\n");

    /// <summary>Whether the name is that of a file, there or not, and of no folder to train from.</summary>
    public static bool IsSavedModel(string model) => File.Exists(model)
        || (!Directory.Exists(model) && model.EndsWith(".zip", StringComparison.OrdinalIgnoreCase));

    /// <summary>A folder to train from, or a zip that was saved here, to ask.</summary>
    public required string Model { get; init; }

    public required string? Train { get; init; }

    public required string? Test { get; init; }

    public required string PromptColumn { get; init; }

    public required string ResponseColumn { get; init; }

    public required int Rows { get; init; }

    public required int TestRows { get; init; }

    public required FineTuningMethod Method { get; init; }

    /// <summary>Whether the method begins with the singular value decomposition of every projection.</summary>
    public bool Decomposes => Method is FineTuningMethod.Sorsa or FineTuningMethod.Pissa;

    public required int? Steps { get; init; }

    public required int Batch { get; init; }

    /// <summary>Null, as <see cref="Gamma"/> and <see cref="LearningRate"/>: the library's default for the method.</summary>
    public required int? Rank { get; init; }

    public required double? Gamma { get; init; }

    public required double? LearningRate { get; init; }

    public required int MaxNewTokens { get; init; }

    public required bool Interactive { get; init; }

    public required string Out { get; init; }
}
