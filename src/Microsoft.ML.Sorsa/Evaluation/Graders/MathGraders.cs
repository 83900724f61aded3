using Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>lm-eval's task hendrycks_math (version 1.0): what stands between dollars, equal by spelling.</summary>
internal sealed class HendrycksMathGrader : IAnswerGrader
{
    public string Name => "math-hendrycks";

    public GradedAnswer Grade(string text, string gold)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(gold);
        string answer = MathAnswer.BetweenDollars(text), reference = BoxedAnswer.OfGold(gold, Name);
        return new(HendrycksNormalization.AreEqual(answer, reference), answer, reference);
    }
}

/// <summary>lm-eval's task minerva_math (version 3.1): Minerva's closing sentence, its normalisation, then algebra.</summary>
internal sealed class MinervaMathGrader : IAnswerGrader
{
    /// <summary>Answers beyond this many characters are compared as text.</summary>
    private const int MostLength = 10_000;

    public string Name => "math-minerva";

    public GradedAnswer Grade(string text, string gold)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(gold);
        string reference = BoxedAnswer.OfGold(gold, Name), answer = MathAnswer.OfMinerva(text);
        return new(AreEqual(answer, reference), answer == MathAnswer.Invalid ? null : answer, reference);
    }

    /// <summary>Both are normalised; the same text, or what SymPy reads of it is the same for all values.</summary>
    public static bool AreEqual(string prediction, string gold)
    {
        if (Math.Max(prediction.Length, gold.Length) > MostLength)
        {
            return prediction == gold;
        }

        string first = MinervaNormalization.Normalise(prediction), second = MinervaNormalization.Normalise(gold);
        return (first == second && first.Length > 0)
            || (LatexReader.ReadAsSympy(first) is { } left && LatexReader.ReadAsSympy(second) is { } right
                && ExpressionEquality.AreEqual(left, right, isReal: false));
    }
}

/// <summary>The SORSA paper's evaluation: MetaMath's closing sentence and <see cref="AuthorsMathEqual"/>.</summary>
internal sealed class PaperMathGrader(bool readsLatex) : IAnswerGrader
{
    private readonly AuthorsMathEqual equality = new(readsLatex);

    public string Name => readsLatex ? "math-paper-latex" : "math-paper";

    public GradedAnswer Grade(string text, string gold)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(gold);
        string reference = BoxedAnswer.OfGold(gold, Name, lmEval: false);
        string? answer = MathAnswer.OfAuthors(text);
        return new(answer is not null && equality.AreEquivalent(reference, answer), answer, reference);
    }
}
