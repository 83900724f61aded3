using System.Text;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// What \text{...} and its kin mean in an answer: behind a value it is a unit and goes, "and" is a comma, words at the beginning are the
/// answer, and mathematics inside is mathematics.
/// </summary>
internal static partial class LatexWords
{
    /// <summary>What is left around words that are the answer.</summary>
    public const string Mark = @"\text{";

    private const int MostDepth = 4;

    public static string Resolve(string text) => Resolve(text, 0);

    private static string Resolve(string text, int depth)
    {
        StringBuilder resolved = new();
        int at = 0;
        foreach (Match match in Command.Matches(text))
        {
            if (match.Index < at || ClosingBrace(text, match.Index + match.Length) is not { } end)
            {
                continue;
            }

            resolved.Append(text, at, match.Index - at);
            string inside = text[(match.Index + match.Length)..end], words = inside.Trim();
            at = end + 1;
            if (words is "and" or "or")
            {
                // "3, 5 \text{ and } 7": the comma is there.
                _ = resolved.ToString().TrimEnd().EndsWith(',') ? resolved : resolved.Append(',');
            }
            else if (resolved.ToString() is var before && IsBeginning(before))
            {
                resolved.Append(Words.IsMatch(words) ? Mark + words + "}" : depth < MostDepth ? Resolve(words, depth + 1) : words);
            }
            else if (before.TrimEnd().EndsWith('^') || before.TrimEnd().EndsWith('_') || match.Groups[1].Value is "mathbf" or "mathit")
            {
                resolved.Append('{').Append(Words.IsMatch(words) ? Mark + words + "}" : words).Append('}');
            }
            else
            {
                at += Exponent.Match(text, at).Length;
                if (at < text.Length && BeginsWithDigit.IsMatch(text.AsSpan(at)))
                {
                    // 5 hours and 3 minutes: the first of them is what is compared.
                    return resolved.ToString();
                }
            }
        }

        return resolved.Append(text, at, text.Length - at).ToString();
    }

    private static bool IsBeginning(string before) =>
        before.AsSpan().TrimEnd() is [] or [.., '(' or '[' or '{' or ',' or '=' or ';' or '<' or '>'] || SignAtEnd.IsMatch(before);

    private static int? ClosingBrace(string text, int start)
    {
        int depth = 1;
        for (int i = start; i < text.Length; i++)
        {
            depth += text[i] switch { '{' => 1, '}' => -1, _ => 0 };
            if (depth == 0)
            {
                return i;
            }
        }

        return null;
    }

    [GeneratedRegex(@"\\(text|textbf|textrm|textit|textnormal|mbox|mathrm|mathbf|mathit|operatorname)\{")]
    private static partial Regex Command { get; }

    /// <summary>Two letters side by side, and around them what stands in and between words.</summary>
    [GeneratedRegex(@"^(?=.*\p{L}{2})\p{L}(?:[\p{L}\p{Nd} .,'’:]|(?<=\p{L})-(?=\p{L}))*\z")]
    private static partial Regex Words { get; }

    [GeneratedRegex(@"\\(?:in|cup|cap|leq?|geq?|neq?|approx|equiv)\s*\z")]
    private static partial Regex SignAtEnd { get; }

    [GeneratedRegex(@"\G\s*\^([0-9]|\{[0-9]+\})")]
    private static partial Regex Exponent { get; }

    [GeneratedRegex(@"^\s*[0-9]")]
    private static partial Regex BeginsWithDigit { get; }
}
