using Microsoft.ML.Sorsa;

namespace EvaluateModel;

/// <summary>Whose way of asking is taken; numbers are comparable only with those of the same way.</summary>
internal enum PromptStyle
{
    /// <summary>The question and nothing else: for a model that goes on with text.</summary>
    Plain,

    /// <summary>lm-evaluation-harness: GSM-8K with examples from its training file, MATH with Minerva's four.</summary>
    LmEval,

    /// <summary>The SORSA paper's authors: Alpaca's instruction prompt.</summary>
    Paper,

    /// <summary>The model's own chat template.</summary>
    Chat,
}

/// <summary>What the command line says.</summary>
internal sealed record Settings
{
    public const int DefaultShots = 5;

    /// <summary>tiny-llama-math, 1.2 million parameters, which the build puts beside the program.</summary>
    public static string BundledModel => Path.Combine(AppContext.BaseDirectory, "models", "tiny-llama-math");

    public required string Model { get; init; }

    /// <summary>JSON lines with question and answer, or null.</summary>
    public required string? Gsm8k { get; init; }

    /// <summary>The rows that examples are drawn from: the same form, or null.</summary>
    public required string? Gsm8kTrain { get; init; }

    /// <summary>JSON lines with problem and solution, or null.</summary>
    public required string? Math { get; init; }

    /// <summary>JSON lines with question, choices and answer, or null.</summary>
    public required string? Arc { get; init; }

    /// <summary>A file of text, or null.</summary>
    public required string? Text { get; init; }

    public required PromptStyle Prompts { get; init; }

    /// <summary>Examples in front of a question of GSM-8K.</summary>
    public required int Shots { get; init; }

    /// <summary>Rows of each file, at most: its first.</summary>
    public required int Rows { get; init; }

    public required int Batch { get; init; }

    /// <summary>Tokens of an answer, at most; null: as the way of asking has it.</summary>
    public required int? MaxNewTokens { get; init; }

    public required WeightType ComputeType { get; init; }

    /// <summary>Whether no data are named, so that arithmetic stories are asked.</summary>
    public bool AsksStories => (Gsm8k ?? Math ?? Arc ?? Text) is null;

    /// <summary>The folder for pages and tables.</summary>
    public required string Out { get; init; }
}
