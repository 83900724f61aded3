namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// A model's tokenizer, as the encoders and the generator see it: one that was read from files, or one that a user has in hand.
/// </summary>
internal interface ITextTokenizer
{
    /// <summary>The files that it was read from; null: it was made in code, and there is nothing to save.</summary>
    TokenizerFiles? Files { get; }

    /// <summary>
    /// The highest id + 1, added tokens included; a model's embedding needs at least so many rows. Null where it is not known.
    /// </summary>
    int? VocabularySize { get; }

    /// <summary>The token that begins a text; null where none is named.</summary>
    int? BosTokenId { get; }

    /// <summary>The token that ends a text; null where none is named.</summary>
    int? EosTokenId { get; }

    /// <summary>The token for padding; null where none is named.</summary>
    int? PadTokenId { get; }

    /// <summary>The text of <see cref="BosTokenId"/>, where it is known.</summary>
    string? BosToken { get; }

    /// <summary>The text of <see cref="EosTokenId"/>, where it is known.</summary>
    string? EosToken { get; }

    /// <summary>The chat template, unread; null where there is none.</summary>
    string? ChatTemplateText { get; }

    /// <summary>The chat template for conversations with tools, unread; null where it is the same.</summary>
    string? ToolTemplateText { get; }

    /// <summary>Whether a text of its own begins with <see cref="BosTokenId"/>.</summary>
    bool AddsBos { get; }

    /// <summary>The ids of a text.</summary>
    /// <param name="text">Any text; an empty one has no ids of its own.</param>
    /// <param name="addSpecialTokens">Whether to add what the tokenizer puts around a text (BOS in front, where it does).</param>
    /// <param name="plain">Stretches of the text in which no special token is found: see <see cref="PlainStretches"/>.</param>
    /// <param name="markedEnd">Where the text ends that such stretches stand in; null: at its end.</param>
    /// <exception cref="NotSupportedException">There are such stretches, and the tokenizer finds special tokens everywhere.</exception>
    int[] Encode(string text, bool addSpecialTokens, IReadOnlyList<Range>? plain = null, int? markedEnd = null);

    /// <summary>The id of a token by its text; null where there is none, or the model has no row for it.</summary>
    int? Find(string token);

    /// <summary>The text of a special token, which a stream skips; null for any other id.</summary>
    string? SpecialText(int id);

    /// <summary>A decoder for ids that come one by one; special tokens are skipped. It belongs to one thread.</summary>
    ITextStream CreateStream();
}

/// <summary>
/// Decodes ids one by one, as they are generated. All pieces together, with the one of <see cref="Flush"/>, are the text.
/// </summary>
internal interface ITextStream
{
    /// <summary>The text that this id completes; empty where it completes none.</summary>
    string Push(int id);

    /// <summary>What is left at the end: U+FFFD for an unfinished character. Afterwards a new text may begin.</summary>
    string Flush();
}

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
