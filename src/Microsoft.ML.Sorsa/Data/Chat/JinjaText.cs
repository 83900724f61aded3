namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>Text as Jinja, that is Python, handles it.</summary>
internal static class JinjaText
{
    /// <summary>
    /// <c>text.strip()</c> and <c>text | trim</c>. Python counts the separators U+001C to U+001F as white space, .NET does not.
    /// </summary>
    public static string Strip(string text)
    {
        int start = 0;
        int end = text.Length;
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

    private static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\u001C' and <= '\u001F';
}
