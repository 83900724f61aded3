using System.Buffers;
using System.Globalization;
using System.Text;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Finds added tokens in a text: the leftmost first, the longest of those that begin at the same place. One that must be a word of its
/// own and is not leaves its text to the model, as in the tokenizers library.
/// </summary>
internal sealed class AddedTokens
{
    private readonly KeyValuePair<string, AddedToken>[] _longestFirst;
    private readonly SearchValues<string> _contents;

    /// <param name="tokens">Each with the text that stands for it: its content, or what the normalizer makes of that.</param>
    public AddedTokens(IEnumerable<(string Text, AddedToken Token)> tokens)
    {
        // Two tokens of which the normalizer makes the same text: the lower id is the older one.
        _longestFirst = [.. tokens
            .Where(item => item.Text.Length > 0)
            .OrderBy(item => item.Token.Id)
            .DistinctBy(item => item.Text, StringComparer.Ordinal)
            .OrderByDescending(item => item.Text.Length)
            .Select(item => KeyValuePair.Create(item.Text, item.Token))];
        _contents = SearchValues.Create([.. _longestFirst.Select(item => item.Key)], StringComparison.Ordinal);
    }

    public bool IsEmpty => _longestFirst.Length == 0;

    /// <summary>The next token in <paramref name="text"/> from <paramref name="from"/> on, and the stretch that belongs to it.</summary>
    /// <param name="text">The text.</param>
    /// <param name="from">Where to begin.</param>
    /// <param name="plain">Stretches of the text that are ordinary text; null: none.</param>
    /// <param name="start">Where what belongs to the token begins.</param>
    /// <param name="end">Where it ends.</param>
    public AddedToken? FindNext(ReadOnlySpan<char> text, int from, PlainStretches? plain, out int start, out int end)
    {
        for (int searched = from; text[searched..].IndexOfAny(_contents) is var at and >= 0; searched = end)
        {
            start = searched + at;
            AddedToken? token = LongestAt(text, start, plain, out int length);
            end = start + length;
            if (token is null || (token.SingleWord && (EndsWithWord(text[..start]) || StartsWithWord(text[end..]))))
            {
                continue;
            }

            if (token.TakesSpaceBefore)
            {
                start = from + text[from..start].TrimEnd().Length;
            }

            if (token.TakesSpaceAfter)
            {
                end = text.Length - text[end..].TrimStart().Length;
            }

            return token;
        }

        start = end = text.Length;
        return null;
    }

    /// <summary>Null and one character where all that were found are ordinary text.</summary>
    private AddedToken? LongestAt(ReadOnlySpan<char> text, int start, PlainStretches? plain, out int length)
    {
        foreach ((string content, AddedToken token) in _longestFirst)
        {
            length = content.Length;
            if (text[start..].StartsWith(content, StringComparison.Ordinal)
                && plain?.Hide(token.Content, token.Special, start, start + length) != true)
            {
                return token;
            }
        }

        length = 1;
        return null;
    }

    private static bool EndsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out Rune last, out _) == OperationStatus.Done && IsWord(last);

    private static bool StartsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out Rune first, out _) == OperationStatus.Done && IsWord(first);

    /// <summary>
    /// \w of the tokenizers library: letters, marks, decimal digits, letter numbers, connectors, the two joiners and circled letters.
    /// </summary>
    private static bool IsWord(Rune character) => Rune.GetUnicodeCategory(character) switch
    {
        <= UnicodeCategory.LetterNumber => true,
        UnicodeCategory.ConnectorPunctuation => true,
        _ => character.Value is 0x200C or 0x200D
            or (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189),
    };
}

/// <summary>A token that is found in the text as a whole, before the model sees the rest.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="Special">Whether decoding can skip it.</param>
internal sealed record AddedToken(int Id, string Content, bool Special)
{
    /// <summary>lstrip: white space before it belongs to it.</summary>
    public bool TakesSpaceBefore { get; init; }

    /// <summary>rstrip: white space after it belongs to it.</summary>
    public bool TakesSpaceAfter { get; init; }

    /// <summary>single_word: it is found only where no letter, digit or mark stands beside it.</summary>
    public bool SingleWord { get; init; }

    /// <summary>Its content goes through the normalizer too, and is searched in the normalised text.</summary>
    public bool Normalized { get; init; }
}
