using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>
/// math_equal and is_equiv as the paper's authors evaluate MATH with them, without the fault that an answer whose normalisation fails is
/// compared with itself. They are loose on numbers: a factor of 100 either way and 0.01 % are equal, 0.1 % after a symbolic reading.
/// </summary>
/// <param name="readsLatex">
/// Whether SymPy's parser for LaTeX is there. It needs an ANTLR runtime that the authors' environment does not list, so their own numbers
/// most likely came about without it.
/// </param>
internal sealed partial class AuthorsMathEqual(bool readsLatex)
{
    private const double NumberTolerance = 1e-4, SymbolicTolerance = 1e-3;

    private const int MostDepth = 8;

    /// <summary>
    /// Normalises both, then compares. Where that fails, the texts as they are: the authors say right whatever the answer is.
    /// </summary>
    public bool AreEquivalent(string gold, string prediction) =>
        HendrycksNormalization.TryNormalise(gold) is { } first && HendrycksNormalization.TryNormalise(prediction) is { } second
            ? first == second || AreEqual(first, second)
            : gold == prediction;

    public bool AreEqual(string prediction, string reference) => AreEqual(prediction, reference, 0);

    private bool AreEqual(string prediction, string reference, int depth)
    {
        if (Number(prediction) is { } left && Number(reference) is { } right)
        {
            return PythonNumber.AreClose(right / 100, left, NumberTolerance) || PythonNumber.AreClose(right, left, NumberTolerance)
                || PythonNumber.AreClose(right * 100, left, NumberTolerance);
        }

        if (prediction.Length == 0)
        {
            return false;
        }

        string first = PythonText.Strip(prediction), second = PythonText.Strip(reference);
        return SameWithoutBrackets(first, second)
            || (depth < MostDepth && SameParts(first, second, depth))
            || SameValue(first, second);
    }

    private static double? Number(string text) =>
        PythonNumber.TryParse(text.Replace(",", "", StringComparison.Ordinal), out double number) ? number : null;

    private static bool IsIn(string text, char open, char close) => text.StartsWith(open) && text.EndsWith(close);

    private static bool SameWithoutBrackets(string prediction, string reference)
    {
        if ((IsIn(prediction, '[', ']') && !reference.StartsWith('(')) || (IsIn(prediction, '(', ')') && !reference.StartsWith('[')))
        {
            prediction = prediction.Trim('[', ']', '(', ')');
            reference = reference.Trim('[', ']', '(', ')');
        }

        return Brackets.Replace(prediction, "") == Brackets.Replace(reference, "");
    }

    private bool SameParts(string prediction, string reference, int depth)
    {
        if (!(IsIn(prediction, '[', ']') && IsIn(reference, '[', ']')) && !(IsIn(prediction, '(', ')') && IsIn(reference, '(', ')')))
        {
            return false;
        }

        string[] first = prediction[1..Math.Max(1, prediction.Length - 1)].Split(',');
        string[] second = reference[1..Math.Max(1, reference.Length - 1)].Split(',');
        return first.Length == second.Length && first.Zip(second).All(pair => AreEqual(pair.First, pair.Second, depth + 1));
    }

    private bool SameValue(string prediction, string reference)
    {
        if (Read(prediction) is not { } first || Read(reference) is not { } second)
        {
            return false;
        }

        return ExpressionEquality.AreEqual(first, second, isReal: false)
            || (ExpressionEquality.RealValue(first) is { } left && ExpressionEquality.RealValue(second) is { } right
                && PythonNumber.AreClose(left, right, SymbolicTolerance));
    }

    private Expression? Read(string text) =>
        (readsLatex ? LatexReader.ReadAsSympy(text) : null) ?? PythonExpressionReader.Read(text);

    [GeneratedRegex("[{}()]")]
    private static partial Regex Brackets { get; }
}
