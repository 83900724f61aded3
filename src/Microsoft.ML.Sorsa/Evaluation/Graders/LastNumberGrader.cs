using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>The last number of the text has the value of the last one of the reference: 5, 5.0, 5.00 and 005 are equal.</summary>
internal sealed partial class LastNumberGrader : IAnswerGrader
{
    public string Name => "last-number";

    public GradedAnswer Grade(string text, string gold)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(gold);
        string reference = Last(gold) ?? throw new UnreadableGoldException(gold, Name, "it needs a number, written with the digits 0 to 9");
        string? answer = Last(text);
        return new(answer is not null && Value(answer) == Value(reference), answer, reference);
    }

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

    private static Rational Value(string number) => Rational.ParseDecimal(number);

    [GeneratedRegex(@"-?([0-9]+(,[0-9]{3})*(\.[0-9]+)?|\.[0-9]+)")]
    private static partial Regex Number { get; }
}
