namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>What two models say to a prompt.</summary>
/// <param name="Prompt">Without its template.</param>
/// <param name="Before">The base's answer.</param>
/// <param name="After">The fine-tuned model's.</param>
public sealed record AnswerComparison(string Prompt, string Before, string After);
