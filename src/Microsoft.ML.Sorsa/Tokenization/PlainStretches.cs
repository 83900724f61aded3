namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Stretches of a text that are ordinary text, whatever stands in them: no special token is found there, nor across their borders, and none
/// of the tokens that the text around them is marked with. Other added tokens (runs of spaces, whole words) are ordinary text themselves.
/// </summary>
internal sealed class PlainStretches
{
    private readonly IReadOnlyList<string> _around;
    private readonly IReadOnlyList<(int Start, int End)> _stretches;

    /// <param name="text">The whole text.</param>
    /// <param name="stretches">In their order, without overlaps.</param>
    /// <param name="markedEnd">Where the text around them ends: what follows marks nothing. Null: at the text's end.</param>
    public PlainStretches(string text, IReadOnlyList<Range> stretches, int? markedEnd = null)
    {
        _stretches = [.. stretches.Select(stretch => (stretch.Start.Value, stretch.End.Value))];
        int[] starts = [0, .. _stretches.Select(stretch => stretch.End)];
        int[] ends = [.. _stretches.Select(stretch => stretch.Start), markedEnd ?? text.Length];
        _around = [.. starts.Zip(ends, (start, end) => text[start..end])];
    }

    private PlainStretches(IReadOnlyList<string> around, IReadOnlyList<(int Start, int End)> stretches)
    {
        _around = around;
        _stretches = stretches;
    }

    /// <summary>Whether a token that was found is text.</summary>
    /// <param name="content">The token's content.</param>
    /// <param name="special">Whether it is a special one.</param>
    /// <param name="start">Where what was found begins.</param>
    /// <param name="end">Where it ends.</param>
    public bool Hide(string content, bool special, int start, int end) =>
        _stretches.Any(stretch => start < stretch.End && end > stretch.Start)
        && (special || (!string.IsNullOrWhiteSpace(content) && _around.Any(text => text.Contains(content, StringComparison.Ordinal))));

    /// <summary>The same for a part of the text.</summary>
    /// <param name="offset">Where the part begins.</param>
    /// <param name="length">Its length.</param>
    /// <param name="moved">Where a place of the part stands when it is normalised.</param>
    public PlainStretches Within(int offset, int length, Func<int, int> moved) => new(_around,
    [
        .. _stretches.Where(stretch => stretch.Start < offset + length && stretch.End > offset).Select(stretch => (
            moved(Math.Max(stretch.Start - offset, 0)), moved(Math.Min(stretch.End - offset, length)))),
    ]);
}
