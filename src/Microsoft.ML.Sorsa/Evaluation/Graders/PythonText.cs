using System.Globalization;
using System.Text;

namespace Microsoft.ML.Sorsa.Evaluation.Graders;

/// <summary>What the graders' rules say of text in Python's words, where .NET's own differ.</summary>
internal static class PythonText
{
    /// <summary>Python's strip: it counts the four separators before the blank as white space, too.</summary>
    public static string Strip(string text)
    {
        int start = 0, end = text.Length;
        while (start < end && IsSpace(text[start]))
        {
            start++;
        }

        while (end > start && IsSpace(text[end - 1]))
        {
            end--;
        }

        return text[start..end];
    }

    public static bool IsSpace(char letter) => char.IsWhiteSpace(letter) || letter is >= '\x1c' and <= '\x1f';

    /// <summary>Every decimal digit of any script as 0 to 9: Python's \d matches them and its numbers are read from them.</summary>
    public static string AsciiDigits(string text)
    {
        if (Ascii.IsValid(text))
        {
            return text;
        }

        StringBuilder ascii = new(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            int digit = Rune.GetUnicodeCategory(rune) == UnicodeCategory.DecimalDigitNumber ? (int)Rune.GetNumericValue(rune) : -1;
            _ = digit >= 0 ? ascii.Append((char)('0' + digit)) : ascii.Append(rune.ToString());
        }

        return ascii.ToString();
    }

    /// <summary>The first character, both halves of it where it needs two.</summary>
    public static string First(string text) => text.Length > 1 && char.IsSurrogatePair(text[0], text[1]) ? text[..2] : text[..1];

    /// <summary>What follows the last of the marks; null where there is none.</summary>
    public static string? AfterLast(string text, string mark) =>
        text.LastIndexOf(mark, StringComparison.Ordinal) is var place && place < 0 ? null : text[(place + mark.Length)..];

    /// <summary>The number of times that the mark is there, counted without overlaps.</summary>
    public static int Count(string text, string mark)
    {
        int count = 0;
        for (int at = text.IndexOf(mark, StringComparison.Ordinal); at >= 0;
            at = text.IndexOf(mark, at + mark.Length, StringComparison.Ordinal))
        {
            count++;
        }

        return count;
    }
}
