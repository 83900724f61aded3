namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Decodes ids one by one, as they are generated. A character comes out with its last byte and never in part; special tokens are skipped.
/// All pieces together, with the one of <see cref="Flush"/>, are the text.
/// </summary>
/// <param name="tokenOf">The token of an id.</param>
/// <param name="isSpecial">Whether an id is a special token's.</param>
/// <param name="decoder">From tokens to text.</param>
internal sealed class TextStream(Func<int, string> tokenOf, Func<int, bool> isSpecial, TokenStreamDecoder decoder) : ITextStream
{
    /// <summary>The text that this id completes; empty where it completes none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">No token has that id.</exception>
    public string Push(int id)
    {
        string token = tokenOf(id);
        return isSpecial(id) ? "" : decoder.Push(token);
    }

    /// <summary>What is left at the end: U+FFFD for an unfinished character. Afterwards a new text may begin.</summary>
    public string Flush() => decoder.Flush();
}
