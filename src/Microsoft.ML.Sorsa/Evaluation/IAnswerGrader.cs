namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>
/// Judges one answer: a generated text and the row's reference in, the verdict and what was compared out. A grader is pure: it keeps
/// nothing between calls, reads no clock, file or culture, and may be called from several threads. <see cref="AnswerGraders"/> has the
/// ready ones. </summary>
public interface IAnswerGrader
{
    /// <summary>What reports call the grader: short, lower-case, without blanks.</summary>
    string Name { get; }

    /// <summary>Judges one answer.</summary>
    /// <param name="text">The whole text that the model wrote. A text without an answer is wrong, not an error.</param>
    /// <param name="gold">The row's reference: what it holds differs from grader to grader.</param>
    /// <exception cref="ArgumentNullException">One of the two is null.</exception>
    /// <exception cref="UnreadableGoldException">The reference holds no answer of the kind that the grader reads.</exception>
    GradedAnswer Grade(string text, string gold);
}
