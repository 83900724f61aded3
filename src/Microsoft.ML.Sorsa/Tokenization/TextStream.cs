using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Decodes ids one by one, as they are generated. A character comes out with its last byte and never in part; special tokens are skipped. All
/// pieces together, with the one of <see cref="Flush"/>, are the text.
/// </summary>
internal sealed class TextStream : ITextStream
{
    private readonly TextTokenizer _tokenizer;
    private readonly TokenStreamDecoder _decoder;

    internal TextStream(TextTokenizer tokenizer, TokenStreamDecoder decoder)
    {
        _tokenizer = tokenizer;
        _decoder = decoder;
    }

    /// <summary>The text that this id completes; empty where it completes none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">No token has that id.</exception>
    public string Push(int id)
    {
        string token = _tokenizer.TokenOf(id);
        return _tokenizer.IsSpecial(id) ? "" : _decoder.Push(token);
    }

    /// <summary>What is left at the end: U+FFFD for an unfinished character. Afterwards a new text may begin.</summary>
    public string Flush() => _decoder.Flush();
}
