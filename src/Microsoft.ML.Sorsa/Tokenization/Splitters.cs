using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

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

/// <summary>
/// Cuts a text into the matches of a pattern and what lies between them (Split with the behavior Isolated, and ByteLevel's own pattern).
/// Patterns are meant for code points and .NET's Regex sees UTF-16 units: where a text has surrogate pairs, the pattern runs over a copy
/// in which each is one character of the same Unicode category. (Microsoft.ML.Tokenizers' RegexPreTokenizer does not do so.)
/// </summary>
internal sealed partial class PatternSplitter(Regex pattern, IPieceSink next) : IPieceSink
{
    /// <summary>The pattern of GPT-2, which ByteLevel means by use_regex and no file holds.</summary>
    public const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private static readonly Dictionary<UnicodeCategory, char> s_standIns = StandIns();

    /// <summary>Reads a pattern.</summary>
    /// <exception cref="ArgumentException">
    /// It is no regular expression, or one that .NET may read otherwise than the tokenizers library.
    /// </exception>
    public static Regex Compile(string pattern) => MeaningDiffers().Match(pattern) is { Success: true } part
        ? throw new ArgumentException($"'{part.Value}' may mean something else in .NET than in the tokenizers library.", nameof(pattern))
        : new Regex(pattern, RegexOptions.Compiled | RegexOptions.CultureInvariant);

    public void Accept(ReadOnlySpan<char> piece, List<int> ids)
    {
        if (piece.Length == 1)
        {
            next.Accept(piece, ids);
        }
        else if (piece.IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
        {
            Split(piece, piece, [], ids);
        }
        else
        {
            char[] copy = ArrayPool<char>.Shared.Rent(piece.Length);
            int[] offsets = ArrayPool<int>.Shared.Rent(piece.Length + 1);
            int count = 0;
            int offset = 0;
            foreach (Rune character in piece.EnumerateRunes())
            {
                offsets[count] = offset;
                copy[count++] = character.IsBmp ? (char)character.Value : s_standIns[Rune.GetUnicodeCategory(character)];
                offset += character.Utf16SequenceLength;
            }

            offsets[count] = offset;
            Split(piece, copy.AsSpan(0, count), offsets, ids);
            ArrayPool<char>.Shared.Return(copy);
            ArrayPool<int>.Shared.Return(offsets);
        }
    }

    private void Split(ReadOnlySpan<char> piece, ReadOnlySpan<char> copy, ReadOnlySpan<int> offsets, List<int> ids)
    {
        int done = 0;
        foreach (ValueMatch match in pattern.EnumerateMatches(copy))
        {
            int start = match.Index;
            int end = match.Index + match.Length;
            if (!offsets.IsEmpty)
            {
                (start, end) = (offsets[start], offsets[end]);
            }

            if (start > done)
            {
                next.Accept(piece[done..start], ids);
            }

            if (end > start)
            {
                next.Accept(piece[start..end], ids);
            }

            done = end;
        }

        if (done < piece.Length)
        {
            next.Accept(piece[done..], ids);
        }
    }

    /// <summary>The first BMP character of each category beyond ASCII: which one is all the same to a pattern of categories.</summary>
    private static Dictionary<UnicodeCategory, char> StandIns()
    {
        Dictionary<UnicodeCategory, char> standIns = [];
        for (char c = '\u0080'; c < char.MaxValue; c++)
        {
            standIns.TryAdd(char.GetUnicodeCategory(c), c);
        }

        return standIns;
    }

    // Escapes other than \s \S \r \n \t, general categories and punctuation; options, groups and classes of other syntax; anchors;
    // possessives.
    [GeneratedRegex(
        @"\\(?:[^sSrntpP\W_]|[pP](?!\{[LMNPSZC][a-z]?\}))|\(\?\w*[xmsnU]\w*[:)]|\(\?[<>P#]|\[\[:|&&|\$|\^(?<!\[\^)|[+*?]\+",
        RegexOptions.CultureInvariant)]
    private static partial Regex MeaningDiffers();
}
