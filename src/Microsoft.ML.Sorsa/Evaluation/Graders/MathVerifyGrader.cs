using Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>
/// MATH by the rules of Hugging Face's math-verify, as far as they are known here: mathematics in the text is found, read and compared by
/// meaning: sets without order, intervals, equations, mixed numbers, percent, words.
/// </summary>
internal sealed class MathVerifyGrader : IAnswerGrader
{
    /// <summary>Answers beyond this many characters are compared as text.</summary>
    private const int MostLength = 4_000;

    public string Name => "math-verify";

    public GradedAnswer Grade(string text, string gold)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(gold);
        string reference = MathVerifyAnswer.Find(gold) ?? throw new UnreadableGoldException(
            gold, Name, @"it needs mathematics in $...$, \(...\), \[...\] or \boxed{...}, or a number; put a box around a bare answer");
        string? answer = MathVerifyAnswer.Find(text);
        return new(answer is not null && AreEqual(reference, answer), answer, reference);
    }

    /// <summary>Two answers without what stood around them.</summary>
    public static bool AreEqual(string gold, string answer)
    {
        string first = PythonText.Strip(gold), second = PythonText.Strip(answer);
        if (first.Length == 0 || second.Length == 0)
        {
            return false;
        }

        bool isShort = Math.Max(first.Length, second.Length) <= MostLength;
        return first == second
            || (isShort && Read(first) is { } left && Read(second) is { } right && AnswerEquality.AreEqual(left, right));
    }

    private static Expression? Read(string answer) => MathReader.Read(LatexSpelling.Normalise(MathVerifyAnswer.Inside(answer)));
}
