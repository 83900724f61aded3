using System.Text;

namespace Microsoft.ML.Sorsa.Tokenization;

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
