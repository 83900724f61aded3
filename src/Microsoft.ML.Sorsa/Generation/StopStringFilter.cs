namespace Microsoft.ML.Sorsa.Generation;

/// <summary>
/// Lets text through up to the stop string that is complete first (of those complete with the same character, the longest). What
/// could still become one is held back, so the outcome does not depend on how the text is cut into pieces.
/// </summary>
internal sealed class StopStringFilter(IReadOnlyList<string> stopStrings)
{
    private string _held = "";

    /// <summary>A stop string was met; nothing more comes through.</summary>
    public bool Stopped { get; private set; }

    /// <summary>What of the text so far is certainly before a stop string and was not given yet.</summary>
    public string Push(string piece)
    {
        if (Stopped)
        {
            return "";
        }

        string text = _held + piece;
        int start = text.Length, end = int.MaxValue;
        foreach (string stop in stopStrings)
        {
            int found = text.IndexOf(stop, StringComparison.Ordinal);
            if (found >= 0 && (found + stop.Length, found).CompareTo((end, start)) < 0)
            {
                (start, end) = (found, found + stop.Length);
            }
        }

        Stopped = end != int.MaxValue;
        int given = Stopped ? start : text.Length - stopStrings.Select(stop => Overlap(text, stop)).DefaultIfEmpty(0).Max();
        _held = text[given..];
        return text[..given];
    }

    /// <summary>The text is over: what was held back is no stop string.</summary>
    public string Flush()
    {
        string rest = Stopped ? "" : _held;
        _held = "";
        return rest;
    }

    /// <summary>How many of the last characters are the beginning of a stop string.</summary>
    private static int Overlap(string text, string stop)
    {
        int length = Math.Min(text.Length, stop.Length - 1);
        while (length > 0 && !text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
        {
            length--;
        }

        return length;
    }
}
