using System.Text;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// A stage on the way from text to ids: takes a piece of text, and either cuts it further for the next stage or encodes it. Stages hold no
/// state, so that one chain serves all threads.
/// </summary>
internal interface IPieceSink
{
    /// <summary>Appends the ids of <paramref name="piece"/>, which is not empty and has no lone surrogates.</summary>
    void Accept(ReadOnlySpan<char> piece, List<int> ids);
}

/// <summary>
/// The pre-tokenizer Digits: numbers apart from the rest, each character on its own or a run together. A number is any character of the
/// classes Nd, Nl and No, so "½", "²" and "Ⅷ" too.
/// </summary>
internal sealed class DigitSplitter(bool individual, IPieceSink next) : IPieceSink
{
    public void Accept(ReadOnlySpan<char> piece, List<int> ids)
    {
        int start = 0;
        bool inNumber = false;
        for (int at = 0, length; at < piece.Length; at += length)
        {
            bool number = IsNumber(piece[at..], out length);
            if (at > start && (number != inNumber || (number && individual)))
            {
                next.Accept(piece[start..at], ids);
                start = at;
            }

            inNumber = number;
        }

        next.Accept(piece[start..], ids);
    }

    private static bool IsNumber(ReadOnlySpan<char> text, out int length)
    {
        length = 1;
        if (char.IsAscii(text[0]))
        {
            return char.IsAsciiDigit(text[0]);
        }

        Rune.DecodeFromUtf16(text, out Rune character, out length);
        return Rune.IsNumber(character);
    }
}

/// <summary>
/// Cuts in front of the mark that stands for a space ("▁"): of every mark (Metaspace with split), or only of those that follow another
/// character (which <see cref="BpeModel.AllowsCutAt"/> must allow).
/// </summary>
internal sealed class MarkSplitter(char mark, bool everyMark, IPieceSink next) : IPieceSink
{
    /// <summary>"▁", which SentencePiece writes for a space.</summary>
    public const char Space = '\u2581';

    public void Accept(ReadOnlySpan<char> piece, List<int> ids)
    {
        while (true)
        {
            int kept = everyMark || piece[0] != mark ? 1 : piece.IndexOfAnyExcept(mark);
            int length = kept < 0 ? -1 : piece[kept..].IndexOf(mark);
            if (length < 0)
            {
                next.Accept(piece, ids);
                return;
            }

            next.Accept(piece[..(kept + length)], ids);
            piece = piece[(kept + length)..];
        }
    }
}
