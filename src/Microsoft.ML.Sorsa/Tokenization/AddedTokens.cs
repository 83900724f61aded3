using System.Buffers;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Finds added tokens in a text: the leftmost first, the longest of those that begin at the same place.</summary>
internal sealed class AddedTokens
{
    private readonly AddedToken[] _longestFirst;
    private readonly Dictionary<string, AddedToken> _byContent;
    private readonly SearchValues<string> _contents;

    /// <exception cref="InvalidDataException">A token is empty or comes twice.</exception>
    public AddedTokens(IEnumerable<AddedToken> tokens, string file)
    {
        _longestFirst = [.. tokens.OrderByDescending(token => token.Content.Length).ThenBy(token => token.Id)];
        _byContent = new Dictionary<string, AddedToken>(StringComparer.Ordinal);
        foreach (AddedToken token in _longestFirst)
        {
            if (token.Content.Length == 0 || !_byContent.TryAdd(token.Content, token))
            {
                throw new InvalidDataException($"{file}: the added token '{token.Content}' (id {token.Id}) is empty or comes twice.");
            }
        }

        _contents = SearchValues.Create([.. _byContent.Keys], StringComparison.Ordinal);
    }

    public IReadOnlyList<AddedToken> All => _longestFirst;

    public AddedToken? Find(string content) => _byContent.GetValueOrDefault(content);

    /// <summary>The next token in <paramref name="text"/> from <paramref name="from"/> on, and the stretch that belongs to it.</summary>
    public AddedToken? FindNext(ReadOnlySpan<char> text, int from, out int start, out int end)
    {
        int at = text[from..].IndexOfAny(_contents);
        if (at < 0)
        {
            start = end = text.Length;
            return null;
        }

        start = from + at;
        AddedToken token = LongestAt(text[start..]);
        end = start + token.Content.Length;
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

    private AddedToken LongestAt(ReadOnlySpan<char> text)
    {
        foreach (AddedToken token in _longestFirst)
        {
            if (text.StartsWith(token.Content, StringComparison.Ordinal))
            {
                return token;
            }
        }

        throw new InvalidOperationException("A token was found and is not there.");
    }
}
