namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>A grader's verdict on one answer, and what it compared.</summary>
/// <param name="Correct">Whether the answer is right.</param>
/// <param name="Extracted">What was taken out of the generated text as its answer; null where nothing was found.</param>
/// <param name="Gold">What was taken out of the reference.</param>
public sealed record GradedAnswer(bool Correct, string? Extracted, string Gold);
