namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>What became of one row of an evaluation.</summary>
/// <param name="Row">Its number in the data, from 1.</param>
/// <param name="Text">What was judged: the answer as it was written; empty where none was asked for.</param>
/// <param name="Gold">The reference as it stands in the row.</param>
/// <param name="Graded">The verdict; null where there is none.</param>
/// <param name="Problem">Why there is none; null where there is one, or none was asked for.</param>
public sealed record EvaluatedAnswer(int Row, string Text, string Gold, GradedAnswer? Graded, string? Problem)
{
    /// <summary>
    /// Mean negative log-likelihood of a token of the row's response, in nats; null where it was not asked for, or prompt or response are
    /// empty.
    /// </summary>
    public double? Loss { get; init; }

    /// <summary>The response's tokens, its end token included; 0 where <see cref="Loss"/> is null.</summary>
    public int ResponseTokens { get; init; }
}
