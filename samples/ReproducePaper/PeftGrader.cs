using System.Globalization;
using Microsoft.ML.Sorsa.Evaluation;

namespace ReproducePaper;

/// <summary>
/// How PEFT's method comparison judges an answer: what follows the last of the first mark in its list that occurs, up to the line's end;
/// as a number, or a fraction of two, where both sides are one, otherwise as text.
/// </summary>
internal sealed class PeftGrader : IAnswerGrader
{
    /// <summary>The first that occurs counts, wherever the others are.</summary>
    private static readonly string[] s_marks =
        ["The answer is: ", "The answer is ", "The final answer is: ", "The final answer is ", "#### "];

    public string Name => "peft-metamath";

    public GradedAnswer Grade(string text, string gold)
    {
        string reference = Extract(gold) ?? throw new UnreadableGoldException(
            gold, Name, $"it reads what stands behind one of {string.Join(", ", s_marks.Select(mark => $"'{mark}'"))}");
        string? answer = Extract(text);
        return new GradedAnswer(answer is not null && AreEqual(answer, reference), answer, reference);
    }

    private static string? Extract(string text)
    {
        string trimmed = text.Trim().TrimEnd('.', '!', '?');
        return Array.Find(s_marks, mark => trimmed.Contains(mark, StringComparison.Ordinal)) is { } found
            ? trimmed[(trimmed.LastIndexOf(found, StringComparison.Ordinal) + found.Length)..].Trim().Split('\n', 2)[0]
                .Trim(' ', '.', '!', '?', '$', '%')
            : null;
    }

    private static bool AreEqual(string answer, string reference) => (Number(answer), Number(reference)) switch
    {
        ({ } first, { } second) => first == second,
        (null, null) => answer == reference,
        _ => false,
    };

    private static double? Number(string text) => text.Split('/') switch
    {
        [var number] => Parse(number),
        [var above, var below] when Parse(below) is not (null or 0) => Parse(above) / Parse(below),
        _ => null,
    };

    /// <summary>No commas: with one it is text.</summary>
    private static double? Parse(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : null;
}
