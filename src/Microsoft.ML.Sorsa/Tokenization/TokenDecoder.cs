namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Turns tokens back into text.</summary>
internal abstract class TokenDecoder
{
    /// <summary>The text of all tokens together.</summary>
    public abstract string Decode(IReadOnlyList<string> tokens);

    /// <summary>A decoder that is handed one token after the other.</summary>
    public abstract TokenStreamDecoder CreateStream();
}

/// <summary>Decodes token by token: a character comes out as soon as its last byte is there, and never half.</summary>
internal abstract class TokenStreamDecoder
{
    /// <summary>The text that this token completes; empty where it completes none.</summary>
    public abstract string Push(string token);

    /// <summary>What is left at the end: U+FFFD for an unfinished character. Afterwards a new text may begin.</summary>
    public abstract string Flush();
}
