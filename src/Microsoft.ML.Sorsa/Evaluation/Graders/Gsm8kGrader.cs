using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>
/// The two ways in which lm-eval's task gsm8k (version 3.0) reads the number of an answer: the one behind the first <c>#### </c>
/// (strict-match), or the last one anywhere (flexible-extract). Texts are compared, not numbers: 5.0 is not 5.
/// </summary>
internal sealed partial class Gsm8kGrader(bool flexible) : IAnswerGrader
{
    private const string Mark = "#### ";

    /// <summary>What lm-eval reports where nothing was found.</summary>
    private const string Invalid = "[invalid]";

    public string Name => flexible ? "gsm8k-flexible" : "gsm8k-strict";

    public GradedAnswer Grade(string text, string gold)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(gold);
        string reference = Normalise(gold);
        if (!reference.Any(char.IsAsciiDigit))
        {
            throw new UnreadableGoldException(gold, Name, "it needs a number behind '#### ', as GSM-8K's answers have");
        }

        string? answer = flexible ? LastNumber(text) : MarkedNumber(text);
        return new(Normalise(answer ?? Invalid) == reference, answer, reference);
    }

    /// <summary>The number behind the first mark, as it stands there.</summary>
    public static string? MarkedNumber(string text) =>
        Marked.Match(text) is { Success: true } match ? PythonText.Strip(match.Groups[1].Value) : null;

    private static string? LastNumber(string text)
    {
        string? last = null;
        foreach (ValueMatch match in Any.EnumerateMatches(text))
        {
            last = text.Substring(match.Index, match.Length);
        }

        return last is null ? null : PythonText.Strip(last);
    }

    private static string Normalise(string text)
    {
        string plain = text.Replace(",", "", StringComparison.Ordinal).Replace("$", "", StringComparison.Ordinal);
        plain = PythonText.AfterLast(plain, Mark) ?? plain;
        plain = plain.EndsWith('.') ? plain[..^1] : plain.EndsWith(".\n", StringComparison.Ordinal) ? plain[..^2] + "\n" : plain;
        return plain.ToLowerInvariant();
    }

    [GeneratedRegex(@"#### (-?[0-9.,]+)")]
    private static partial Regex Marked { get; }

    [GeneratedRegex(@"-?[$0-9.,]{2,}|-?[0-9]+")]
    private static partial Regex Any { get; }
}
