using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Cuts a text into the matches of a pattern and what lies between them (Split with the behavior Isolated, and ByteLevel's own pattern).
/// Patterns are meant for code points and .NET's Regex sees UTF-16 units: where a text has surrogate pairs, the pattern runs over a copy
/// in which each is one character of the same Unicode category. (Microsoft.ML.Tokenizers' RegexPreTokenizer does not do so.)
/// </summary>
internal sealed class PatternSplitter(SplitPattern pattern, IPieceSink next) : IPieceSink
{
    private static readonly Dictionary<UnicodeCategory, char> s_standIns = StandIns();

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
        foreach (ValueMatch match in pattern.Matches(copy))
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
}
