namespace Microsoft.ML.Sorsa.Evaluation.Graders.Expressions;

/// <summary>Cuts LaTeX at signs and commands that stand in no bracket.</summary>
internal static class LatexSplit
{
    /// <param name="text">The text.</param>
    /// <param name="separators">Signs and, with their backslash, commands; a longer sign stands before a shorter one that begins
    /// it.</param>
    /// <returns>The parts, and what stood between each two of them.</returns>
    public static (List<string> Parts, List<string> Separators) At(string text, params ReadOnlySpan<string> separators)
    {
        List<string> parts = [], found = [];
        int start = 0, depth = 0;
        for (int at = 0; at < text.Length;)
        {
            string word = Word(text, at);
            depth += Bracket(word);
            if (depth == 0 && Match(text, at, word, separators) is { } separator)
            {
                parts.Add(text[start..at]);
                found.Add(separator);
                start = at + separator.Length;
                at = start;
            }
            else
            {
                at += word.Length;
            }
        }

        parts.Add(text[start..]);
        return (parts, found);
    }

    /// <summary>Whether the bracket at the beginning is closed by the one at the end, not before it.</summary>
    public static bool IsEnclosed(string text)
    {
        int depth = 0;
        for (int at = 0; at < text.Length;)
        {
            string word = Word(text, at);
            int change = Bracket(word);
            depth += change;
            at += word.Length;
            if (at == word.Length && change <= 0)
            {
                return false;
            }

            if (depth <= 0)
            {
                return at == text.Length && change < 0;
            }
        }

        return false;
    }

    /// <summary>A command with its backslash, a backslash with one sign, or one character.</summary>
    public static string Word(string text, int at)
    {
        int end = at + 1;
        if (text[at] == '\\' && end < text.Length)
        {
            end++;
            while (char.IsAsciiLetter(text[at + 1]) && end < text.Length && char.IsAsciiLetter(text[end]))
            {
                end++;
            }
        }

        return text[at..end];
    }

    private static int Bracket(string word) => word switch
    {
        "(" or "[" or "{" or @"\{" or @"\begin" => 1,
        ")" or "]" or "}" or @"\}" or @"\end" => -1,
        _ => 0,
    };

    private static string? Match(string text, int at, string word, ReadOnlySpan<string> separators)
    {
        foreach (string separator in separators)
        {
            if (separator[0] == '\\' ? word == separator : text.AsSpan(at).StartsWith(separator, StringComparison.Ordinal))
            {
                return separator;
            }
        }

        return null;
    }
}
