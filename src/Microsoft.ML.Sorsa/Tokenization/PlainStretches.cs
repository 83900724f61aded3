namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Stretches of a text that are ordinary text, whatever stands in them: no special token is found there, nor across their borders, and none
/// of the tokens that the text around them is marked with. Other added tokens (runs of spaces, whole words) are ordinary text themselves.
/// </summary>
/// <param name="text">The whole text.</param>
/// <param name="stretches">In their order, without overlaps.</param>
internal sealed class PlainStretches(string text, IReadOnlyList<Range> stretches)
{
    /// <summary>Whether a token that was found is text.</summary>
    /// <param name="token">The token.</param>
    /// <param name="start">Where its content begins.</param>
    public bool Hide(AddedToken token, int start) =>
        stretches.Any(stretch => start < stretch.End.Value && start + token.Content.Length > stretch.Start.Value)
        && (token.Special || (!string.IsNullOrWhiteSpace(token.Content) && MarksTheRest(token.Content)));

    private bool MarksTheRest(string content)
    {
        int from = 0;
        foreach (Range stretch in stretches.Append(text.Length..))
        {
            if (text.AsSpan(from..stretch.Start.Value).Contains(content, StringComparison.Ordinal))
            {
                return true;
            }

            from = stretch.End.Value;
        }

        return false;
    }
}
