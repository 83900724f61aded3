using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>
/// GSM-8K as MetaMath, and after it the SORSA paper, reads it: the first number behind the last <c>The answer is: </c>, rounded to an
/// integer (halves to the even neighbour), against the number behind the reference's <c>#### </c>.
/// </summary>
internal sealed partial class MetaMathGrader : IAnswerGrader
{
    /// <summary>A fraction with more is no answer.</summary>
    private const int MostDigits = 10_000;

    public string Name => "gsm8k-metamath";

    public GradedAnswer Grade(string text, string gold)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(gold);
        string? marked = Gsm8kGrader.MarkedNumber(gold)?.Replace(",", "", StringComparison.Ordinal);
        if (marked is null || !marked.Any(char.IsAsciiDigit))
        {
            throw new UnreadableGoldException(gold, Name, "it needs a number behind '#### ', as GSM-8K's answers have");
        }

        // A reference such as 1.2.3 is a text that no answer equals.
        double reference = PythonNumber.TryParse(marked, out double number) ? number : double.NaN;
        BigInteger? answer = Extract(text);
        return new(answer is { } integer && (double)integer == reference, answer?.ToString(CultureInfo.InvariantCulture), marked);
    }

    private static BigInteger? Extract(string text) =>
        PythonText.AfterLast(text, MathAnswer.Mark) is { } answer
        && First.Match(PythonText.AsciiDigits(answer)) is { Success: true } match
        && Value(match.Value) is { } value && double.IsFinite(value)
            ? new BigInteger(Math.Round(value, MidpointRounding.ToEven))
            : null;

    private static double? Value(string number)
    {
        if (number.IndexOf('/', StringComparison.Ordinal) is not (>= 0 and var slash))
        {
            return double.Parse(number.Replace(",", "", StringComparison.Ordinal), NumberStyles.Float, CultureInfo.InvariantCulture);
        }

        string numerator = number[..slash], denominator = number[(slash + 1)..];
        if (!PythonNumber.TryParse(numerator, out double alone))
        {
            return null;
        }

        if (number.Length > MostDigits)
        {
            return null;
        }

        // Zero written as one digit leaves the numerator. Written otherwise, the authors' program stops; here it is no answer.
        return denominator == "0" ? alone
            : Rational.ParseDecimal(denominator).IsZero ? null
            : (Rational.ParseDecimal(numerator) / Rational.ParseDecimal(denominator)).ToDouble();
    }

    [GeneratedRegex(@"[-+]?[0-9]*[.,/]?[0-9]+")]
    private static partial Regex First { get; }
}
