namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>What became of one row of an evaluation.</summary>
/// <param name="Row">Its number in the data, from 1.</param>
/// <param name="Text">What was judged: the answer as it was written.</param>
/// <param name="Gold">The reference as it stands in the row.</param>
/// <param name="Graded">The verdict; null where there is none.</param>
/// <param name="Problem">Why there is none; null where there is one.</param>
public sealed record EvaluatedAnswer(int Row, string Text, string Gold, GradedAnswer? Graded, string? Problem);
