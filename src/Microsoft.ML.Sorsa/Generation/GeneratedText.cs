using System.Text;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>The text of a row while its tokens arrive: decoded as they come, cut before a stop string.</summary>
/// <param name="push">The tokenizer's streaming decoder: the text that a token completes.</param>
/// <param name="flush">What the decoder still holds when no token follows.</param>
/// <param name="stopStrings">See <see cref="GenerationOptions.StopStrings"/>.</param>
/// <param name="specialText">The text of a special token, which the decoder skips; null for other ids. Null: there are none.</param>
internal sealed class GeneratedText(
    Func<int, string> push, Func<string> flush, IReadOnlyList<string> stopStrings, Func<int, string?>? specialText = null)
{
    private readonly StopStringFilter _filter = new(stopStrings);
    private readonly StringBuilder _ready = new();

    /// <summary>A stop string was met.</summary>
    public bool Stopped => _filter.Stopped;

    public void Push(int id)
    {
        _ready.Append(_filter.Push(push(id)));

        // A stop string may be a special token, or hold one: the filter sees those, and nobody else.
        if (specialText?.Invoke(id) is { } hidden && stopStrings.Any(stop => stop.Contains(hidden, StringComparison.Ordinal)))
        {
            _ready.Append(_filter.Push(hidden, hidden: true));
        }
    }

    /// <summary>No token follows.</summary>
    public void Complete() => _ready.Append(_filter.Push(flush())).Append(_filter.Flush());

    /// <summary>What is certain and was not taken yet.</summary>
    public string Take()
    {
        string text = _ready.ToString();
        _ready.Clear();
        return text;
    }
}

/// <summary>
/// Lets text through up to the stop string that is complete first (of those complete with the same character, the longest). What
/// could still become one is held back, so the outcome does not depend on how the text is cut into pieces.
/// </summary>
internal sealed class StopStringFilter(IReadOnlyList<string> stopStrings)
{
    private string _held = "";
    private IReadOnlyList<bool> _hidden = [];       // by the characters that are held

    /// <summary>A stop string was met; nothing more comes through.</summary>
    public bool Stopped { get; private set; }

    /// <summary>What of the text so far is certainly before a stop string and was not given yet.</summary>
    /// <param name="piece">More of the text.</param>
    /// <param name="hidden">Whether it counts for stop strings alone and is never given.</param>
    public string Push(string piece, bool hidden = false)
    {
        if (Stopped)
        {
            return "";
        }

        string text = _held + piece;
        bool[] hide = [.. _hidden, .. Enumerable.Repeat(hidden, piece.Length)];
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
        (_held, _hidden) = (text[given..], hide[given..]);
        return Visible(text[..given], hide);
    }

    /// <summary>The text is over: what was held back is no stop string.</summary>
    public string Flush()
    {
        string rest = Stopped ? "" : Visible(_held, _hidden);
        (_held, _hidden) = ("", []);
        return rest;
    }

    private static string Visible(string text, IReadOnlyList<bool> hidden) =>
        hidden.Contains(true) ? string.Concat(text.Where((_, at) => !hidden[at])) : text;

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
