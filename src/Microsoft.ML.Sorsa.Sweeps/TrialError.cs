namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>Why a trial failed, as a study keeps it.</summary>
internal static class TrialError
{
    private const int MostLetters = 4000;

    /// <summary>The message of an exception, and of what is behind it where that says something else.</summary>
    public static string Of(Exception error)
    {
        Exception root = error.GetBaseException();
        string text = root.Message.Length == 0 || error.Message.Contains(root.Message, StringComparison.Ordinal)
            ? error.Message
            : $"{error.Message} ({root.GetType().Name}: {root.Message})";
        return text.Length > 0 ? Storable(text) : error.GetType().Name;
    }

    /// <summary>
    /// Any text may come, and a database that cannot keep it would end the sweep: U+0000 and halves of letters, which PostgreSQL refuses,
    /// become U+FFFD, and a long one is cut.
    /// </summary>
    public static string Storable(string text)
    {
        string kept = text.Length <= MostLetters ? text : string.Concat(text.AsSpan(0, MostLetters), " …");
        return string.Concat(kept.EnumerateRunes().Select(rune => rune.Value == 0 ? "\uFFFD" : rune.ToString()));
    }
}
