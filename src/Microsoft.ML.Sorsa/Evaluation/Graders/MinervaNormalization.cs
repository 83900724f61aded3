using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>
/// Minerva's normalisation of answers to MATH, as lm-eval 0.4.13 has it. It reads no mathematics: words and spellings go.
/// </summary>
internal static partial class MinervaNormalization
{
    private const string WordsBeforeDots = "square|ways|integers|dollars|mph|inches|ft|hours|km|units";

    private const string WordsBehindDots =
        "sue|points|feet|minutes|digits|cents|degrees|cm|gm|pounds|meters|meals|edges|students|childrentickets|multiples";

    private static readonly (string From, string To)[] s_replaced =
    [
        ("an ", ""), ("a ", ""), (".$", "$"), (@"\$", ""), (@"\ ", ""), (" ", ""), ("mbox", "text"), (@",\text{and}", ","),
        (@"\text{and}", ","), (@"\text{m}", @"\text{}"),
    ];

    private static readonly string[] s_removed =
    [
        @"\text{s}", @"\text{.}", "\\text{\ns}", @"\text{}^2", @"\text{}^3", "\\text{\n}", @"\text{}", @"\mathrm{th}", @"^\circ",
        @"^{\circ}", @"\;", @",\!", "{,}", "\"", @"\dots",
    ];

    public static string Normalise(string text)
    {
        text = Word.Replace(PythonText.AfterLast(text, "=") ?? text, "");
        foreach ((string from, string to) in s_replaced)
        {
            text = text.Replace(from, to, StringComparison.Ordinal);
        }

        text = FirstWords.Replace(text, "$1").Replace(@"\ldots", "", StringComparison.Ordinal);
        text = OtherWords.Replace(text, "$1");
        foreach (string removed in s_removed)
        {
            text = text.Replace(removed, "", StringComparison.Ordinal);
        }

        text = Dollars.Replace(text, "$$$1$$");
        text = Text.Replace(text, "$1");
        text = Bold.Replace(text, "$1");
        text = Overline.Replace(text, "$1");
        text = Boxed.Replace(text, "$1");
        text = Fraction.Replace(text, "frac{$1}{$2}");
        text = IndexedRoot.Replace(text, "sqrt$1{$2}");
        text = Root.Replace(text, "sqrt{$1}").Replace("$", "", StringComparison.Ordinal);
        return Thousands.IsMatch(text) ? text.Replace(",", "", StringComparison.Ordinal) : text;
    }

    [GeneratedRegex(@"(?<!\\)\b(?:" + WordsBeforeDots + "|" + WordsBehindDots + @")\b")]
    private static partial Regex Word { get; }

    /// <summary>A command's name is matched first, and stays.</summary>
    [GeneratedRegex(@"(\\[a-zA-Z]+)|" + WordsBeforeDots)]
    private static partial Regex FirstWords { get; }

    [GeneratedRegex(@"(\\[a-zA-Z]+)|" + WordsBehindDots)]
    private static partial Regex OtherWords { get; }

    /// <summary>The first pair on a line; what stands around it goes.</summary>
    [GeneratedRegex(@"[^$\n]*\$([^$\n]*)\$[^\n]*")]
    private static partial Regex Dollars { get; }

    [GeneratedRegex(@"\\text\{([^}\n]*)\}")]
    private static partial Regex Text { get; }

    [GeneratedRegex(@"\\textbf\{([^}\n]*)\}")]
    private static partial Regex Bold { get; }

    [GeneratedRegex(@"\\overline\{([^}\n]*)\}")]
    private static partial Regex Overline { get; }

    [GeneratedRegex(@"\\boxed\{([^\n]*)\}")]
    private static partial Regex Boxed { get; }

    [GeneratedRegex(@"frac([^{])(.)")]
    private static partial Regex Fraction { get; }

    [GeneratedRegex(@"sqrt(\[[^\]]*\])([^{])")]
    private static partial Regex IndexedRoot { get; }

    [GeneratedRegex(@"sqrt([^{\[])")]
    private static partial Regex Root { get; }

    [GeneratedRegex(@"^-?[0-9]{1,3}(,[0-9]{3})*\z")]
    private static partial Regex Thousands { get; }
}
