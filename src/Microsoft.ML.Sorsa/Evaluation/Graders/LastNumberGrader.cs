using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>The last number of the text has the value of the last one of the reference: 5, 5.0, 5.00 and 005 are equal.</summary>
internal sealed partial class LastNumberGrader : IAnswerGrader
{
    /// <summary>Numbers with more digits are compared as text.</summary>
    private const int MostDigits = 10_000;

    public string Name => "last-number";

    public GradedAnswer Grade(string text, string gold)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(gold);
        string reference = Last(gold) ?? throw new UnreadableGoldException(gold, Name, "it needs a number, written with the digits 0 to 9");
        string? answer = Last(text);
        return new(answer is not null && HasValue(answer, reference), answer, reference);
    }

    private static bool HasValue(string answer, string reference) => answer == reference
        || (Math.Max(answer.Length, reference.Length) <= MostDigits
            && Rational.ParseDecimal(answer) == Rational.ParseDecimal(reference));

    private static string? Last(string text)
    {
        string? last = null;
        foreach (ValueMatch match in Number.EnumerateMatches(text))
        {
            // In 10-5 the sign is an operator.
            bool isOperator = text[match.Index] == '-' && match.Index > 0 && char.IsAsciiLetterOrDigit(text[match.Index - 1]);
            int start = match.Index + (isOperator ? 1 : 0);
            last = text[start..(match.Index + match.Length)].Replace(",", "", StringComparison.Ordinal);
        }

        return last;
    }

    [GeneratedRegex(@"-?([0-9]+(,[0-9]{3})*(\.[0-9]+)?|\.[0-9]+)")]
    private static partial Regex Number { get; }
}
