using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>
/// Brings the many spellings of an answer in LaTeX to one before it is read: spaces, units, words, fractions, thousands.
/// </summary>
internal static partial class LatexSpelling
{
    private const string Units =
        "cm|mm|km|ft|feet|foot|inch|inches|mph|units?|degrees?|cents?|minutes?|hours?|seconds?|points|meters?|miles?|pounds?|grams?|kg|gm";

    private static readonly (string From, string To)[] s_spellings =
    [
        ("−", "-"), ("π", @"\pi "), ("±", @"\pm "), ("∪", @"\cup "), ("∩", @"\cap "), ("≤", @"\le "), ("≥", @"\ge "), ("≠", @"\ne "),
        ("×", @"\times "), ("·", @"\cdot "), (@"\!", ""), (@"\;", " "), (@"\:", " "), (@"\ ", " "), (@"\$", ""), ("$", ""), ("{,}", ","),
        (@"^\circ", ""), (@"^{\circ}", ""), (@"\%", "%"), ("\"", ""),
    ];

    public static string Normalise(string text)
    {
        // Two backslashes end a matrix's row; with a blank behind them they are no space.
        text = MarkedThousands.Replace(text, "$1");
        text = Thousands.Replace(text, match => match.Value.Replace(",", "", StringComparison.Ordinal));
        text = string.Join(@"\\", text.Split(@"\\").Select(Respelled));
        text = Sizing.Replace(text, "");
        text = Spacing.Replace(text, " ");
        text = FractionNames.Replace(text, @"\frac");
        text = SpaceInNumber.Replace(text, @"$1\cdot ");
        text = text.Replace(@"\,", " ", StringComparison.Ordinal);
        text = Over.Replace(text, @"\frac{$1}{$2}");
        text = Choose.Replace(text, @"\binom{$1}{$2}");
        text = LatexWords.Resolve(text);
        text = Conjunction.Replace(text, ", ");
        text = Infinity.Replace(text, @"\infty ");
        text = Quoted.Replace(PythonText.Strip(text), "$1");
        text = Ordinal.Replace(text, "$1");
        text = TrailingUnit.Replace(TrailingDots.Replace(text, ""), "");
        text = LeadingEquals.Replace(text, "");
        return CloseBraces(text);
    }

    private static string Respelled(string text)
    {
        foreach ((string from, string to) in s_spellings)
        {
            text = text.Replace(from, to, StringComparison.Ordinal);
        }

        return text;
    }

    /// <summary>A text that was cut off gets the braces that it lacks.</summary>
    private static string CloseBraces(string text)
    {
        int open = 0;
        for (int at = 0; at < text.Length; at += LatexSplit.Word(text, at).Length)
        {
            open += text[at] switch { '{' => 1, '}' => -1, _ => 0 };
        }

        return open is > 0 and < 20 ? text + new string('}', open) : text;
    }

    [GeneratedRegex(@"\\(left|right)(?![a-zA-Z])")]
    private static partial Regex Sizing { get; }

    [GeneratedRegex(@"\\(quad|qquad|displaystyle|textstyle)(?![a-zA-Z])|(?<=\{)\\bf(?![a-zA-Z])")]
    private static partial Regex Spacing { get; }

    /// <summary>math-verify takes no space for a separator of thousands. \frac 1 2 and \log_2 8 are no numbers.</summary>
    [GeneratedRegex(@"(?<!\\frac\s*|_|[0-9])([0-9]+)(?:\\,|\s)\s*(?=[0-9])")]
    private static partial Regex SpaceInNumber { get; }

    /// <summary>A comma set so that no space follows it stands in a number, wherever that stands.</summary>
    [GeneratedRegex(@"([0-9])(?:,\\!|\{,\})\s*(?=[0-9]{3}(?![0-9]))")]
    private static partial Regex MarkedThousands { get; }

    [GeneratedRegex(@"\\[cdt]frac(?![a-zA-Z])")]
    private static partial Regex FractionNames { get; }

    [GeneratedRegex(@"\{([^{}\\]*)\\over(?![a-zA-Z])([^{}]*)\}")]
    private static partial Regex Over { get; }

    [GeneratedRegex(@"\{([^{}\\]*)\\choose(?![a-zA-Z])([^{}]*)\}")]
    private static partial Regex Choose { get; }

    [GeneratedRegex(@" (and|or) ")]
    private static partial Regex Conjunction { get; }

    [GeneratedRegex(@"(?<![\\a-zA-Z])inf(inity)?(?![a-zA-Z])")]
    private static partial Regex Infinity { get; }

    [GeneratedRegex(@"^([0-9]+)(st|nd|rd|th)\z")]
    private static partial Regex Ordinal { get; }

    [GeneratedRegex(@"(?<=[0-9%]\s*|[})a-zA-Z\]]\s+)(square\s+|cubic\s+)?(" + Units + @")\z")]
    private static partial Regex TrailingUnit { get; }

    /// <summary>Not at a bracket: (1,234) is a pair. Nor before a sign of degrees: 45,135^\circ are two angles.</summary>
    [GeneratedRegex(@"(?<![\d.,(\[]|\\\{|\d\s)[0-9]{1,3}(,[0-9]{3})+(?!\d|,\d|\^|[)\]]|\\\})")]
    private static partial Regex Thousands { get; }

    [GeneratedRegex(@"^'(.*)'\z")]
    private static partial Regex Quoted { get; }

    [GeneratedRegex(@"\s*\\ldots\s*\z")]
    private static partial Regex TrailingDots { get; }

    [GeneratedRegex(@"^=\s*")]
    private static partial Regex LeadingEquals { get; }
}
