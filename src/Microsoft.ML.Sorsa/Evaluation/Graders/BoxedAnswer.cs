namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>
/// The last box of a solution, as lm-eval and as the paper's authors find it. They differ where <c>\boxed</c> is followed by a blank.
/// </summary>
internal static class BoxedAnswer
{
    private const string Box = @"\boxed", OpenBox = @"\boxed ", BracedBox = @"\boxed{", Frame = @"\fbox";

    /// <summary>The box itself, lm-eval's way: a box with a blank goes to the next dollar and wins over every other.</summary>
    public static string? LastOfLmEval(string text) =>
        PythonText.AfterLast(text, OpenBox) is { } open ? OpenBox + open.Split('$', 2)[0] : LastOfAuthors(text);

    /// <summary>The box itself, the authors' way. Braces behind a backslash count, too.</summary>
    public static string? LastOfAuthors(string text)
    {
        int start = text.LastIndexOf(Box, StringComparison.Ordinal);
        start = start >= 0 ? start : text.LastIndexOf(Frame, StringComparison.Ordinal);
        int depth = 0;
        for (int i = Math.Max(start, 0); start >= 0 && i < text.Length; i++)
        {
            depth += text[i] switch { '{' => 1, '}' => -1, _ => 0 };
            if (text[i] == '}' && depth == 0)
            {
                return text[start..(i + 1)];
            }
        }

        return null;
    }

    /// <summary>The inside of the box that <see cref="LastOfLmEval"/> found; null where lm-eval stops with an error.</summary>
    public static string? InsideOfLmEval(string? box) =>
        box is not null && box.Contains(OpenBox, StringComparison.Ordinal)
            ? box.StartsWith(OpenBox, StringComparison.Ordinal) ? box[OpenBox.Length..] : null
            : InsideOfAuthors(box);

    /// <summary>The inside of the box that <see cref="LastOfAuthors"/> found; null where it is none with braces.</summary>
    public static string? InsideOfAuthors(string? box) =>
        box is not null && box.StartsWith(BracedBox, StringComparison.Ordinal) && box.EndsWith('}') ? box[BracedBox.Length..^1] : null;

    /// <summary>A reference solution's answer, the same for all graders of MATH but math-verify's.</summary>
    /// <exception cref="UnreadableGoldException">There is no box.</exception>
    public static string OfGold(string gold, string grader, bool lmEval = true) =>
        (lmEval ? InsideOfLmEval(LastOfLmEval(gold)) : InsideOfAuthors(LastOfAuthors(gold)))
        ?? throw new UnreadableGoldException(
            gold, grader, @"it needs a \boxed{...}, as MATH's solutions have; put one around a bare answer");
}
