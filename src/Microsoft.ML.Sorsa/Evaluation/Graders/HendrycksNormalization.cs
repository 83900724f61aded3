using System.Text;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>
/// Hendrycks' normalisation of answers to MATH: other spellings of one answer become one text. It fails on some texts: a root of nothing,
/// a slash beside something that is no integer, two units.
/// </summary>
internal static partial class HendrycksNormalization
{
    private const string Unit = @"\text{ ", Root = @"\sqrt", Fraction = @"\frac";

    /// <summary>What is replaced first, in this order.</summary>
    private static readonly (string From, string To)[] s_spellings =
    [
        ("\n", ""), (@"\!", ""), (@"\\", @"\"), ("tfrac", "frac"), ("dfrac", "frac"), (@"\left", ""), (@"\right", ""), (@"^{\circ}", ""),
        (@"^\circ", ""), (@"\$", ""),
    ];

    /// <summary>Hendrycks' equality as lm-eval has it: where normalising either side fails, the texts as they are.</summary>
    public static bool AreEqual(string left, string right) =>
        TryNormalise(left) is { } first && TryNormalise(right) is { } second ? first == second : left == right;

    /// <summary>The normalised text; null where that fails.</summary>
    public static string? TryNormalise(string text)
    {
        foreach ((string from, string to) in s_spellings)
        {
            text = text.Replace(from, to, StringComparison.Ordinal);
        }

        if (PythonText.Count(text, Unit) > 1)
        {
            return null;
        }

        text = text.Split(Unit)[0].Replace(@"\%", "", StringComparison.Ordinal)
            .Replace(" .", " 0.", StringComparison.Ordinal).Replace("{.", "{0.", StringComparison.Ordinal);
        if (text.Length == 0)
        {
            return text;
        }

        text = WithoutName(text[0] == '.' ? "0" + text : text);
        if (BraceRoots(text) is not { } rooted || BraceFractions(rooted.Replace(" ", "", StringComparison.Ordinal)) is not { } braced)
        {
            return null;
        }

        return SlashAsFraction(braced == "0.5" ? @"\frac{1}{2}" : braced);
    }

    /// <summary>x=5 is 5: one equals sign with at most two characters before it.</summary>
    private static string WithoutName(string text) => text.Split('=') is [{ Length: <= 2 }, var value] ? value : text;

    private static string? BraceRoots(string text)
    {
        string[] parts = text.Split(Root);
        StringBuilder braced = new(parts[0]);
        foreach (string part in parts.AsSpan(1))
        {
            if (part.Length == 0)
            {
                return null;
            }

            string first = PythonText.First(part);
            _ = first == "{" ? braced.Append(Root).Append(part) : braced.Append(Root + "{" + first + "}").Append(part, first.Length);
        }

        return braced.ToString();
    }

    private static string? BraceFractions(string text)
    {
        string[] parts = text.Split(Fraction);
        StringBuilder braced = new(parts[0]);
        foreach (string part in parts.AsSpan(1))
        {
            if (part.Length == 0)
            {
                return null;
            }

            braced.Append(Fraction);
            string numerator = PythonText.First(part), rest = part[numerator.Length..];
            if (numerator == "{")
            {
                braced.Append(part);
            }
            else if (rest.Length == 0)
            {
                return text;
            }
            else
            {
                string denominator = PythonText.First(rest);
                braced.Append('{').Append(numerator).Append('}');
                _ = denominator == "{" ? braced.Append(rest)
                    : braced.Append('{').Append(denominator).Append('}').Append(rest, denominator.Length);
            }
        }

        return braced.ToString();
    }

    /// <summary>a/b of two integers; fails where a side is none, and leaves 01/2, which does not print back the same, alone.</summary>
    private static string? SlashAsFraction(string text) =>
        text.Split('/') is not [var numerator, var denominator] ? text
        : !Integer.IsMatch(PythonText.AsciiDigits(numerator)) || !Integer.IsMatch(PythonText.AsciiDigits(denominator)) ? null
        : PlainInteger.IsMatch(numerator) && PlainInteger.IsMatch(denominator) ? $@"\frac{{{numerator}}}{{{denominator}}}" : text;

    private static StringBuilder Append(this StringBuilder builder, string text, int start) =>
        builder.Append(text, start, text.Length - start);

    [GeneratedRegex(@"^\s*[+-]?[0-9]+(_[0-9]+)*\s*\z")]
    private static partial Regex Integer { get; }

    [GeneratedRegex(@"^(0|-?[1-9][0-9]*)\z")]
    private static partial Regex PlainInteger { get; }
}
