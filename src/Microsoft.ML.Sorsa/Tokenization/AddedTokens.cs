using System.Buffers;
using System.Globalization;
using Microsoft.ML.Sorsa.Files;

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
    /// <param name="text">The text.</param>
    /// <param name="from">Where to begin.</param>
    /// <param name="hide">Whether a token whose content begins at a place is ordinary text there; null: none is.</param>
    /// <param name="start">Where what belongs to the token begins.</param>
    /// <param name="end">Where it ends.</param>
    public AddedToken? FindNext(ReadOnlySpan<char> text, int from, Func<AddedToken, int, bool>? hide, out int start, out int end)
    {
        for (int search = from; text[search..].IndexOfAny(_contents) is var at and >= 0; search += at + 1)
        {
            start = search + at;
            if (LongestAt(text, start, hide) is not { } token)
            {
                continue;
            }

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

        start = end = text.Length;
        return null;
    }

    private AddedToken? LongestAt(ReadOnlySpan<char> text, int start, Func<AddedToken, int, bool>? hide)
    {
        foreach (AddedToken token in _longestFirst)
        {
            if (text[start..].StartsWith(token.Content, StringComparison.Ordinal) && hide?.Invoke(token, start) != true)
            {
                return token;
            }
        }

        return null;
    }
}

/// <summary>A token that is found in the text as it stands, before anything else happens to it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="Special">Whether decoding can skip it.</param>
/// <param name="TakesSpaceBefore">lstrip: white space before it belongs to it.</param>
/// <param name="TakesSpaceAfter">rstrip: white space after it belongs to it.</param>
internal sealed record AddedToken(int Id, string Content, bool Special, bool TakesSpaceBefore = false, bool TakesSpaceAfter = false);

/// <summary>Reads added tokens as tokenizer.json and tokenizer_config.json write them.</summary>
internal static class AddedTokenReader
{
    /// <summary>An entry of added_tokens_decoder, whose key is the id.</summary>
    public static AddedToken Read(string key, JsonReader json)
    {
        json.AllowOnly("content", "single_word", "lstrip", "rstrip", "normalized", "special");
        return int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
            ? Read(id, json)
            : throw json.Invalid("needs an id as its key");
    }

    /// <summary>An entry of added_tokens, and whether it is found only after the normalizer.</summary>
    public static (AddedToken Token, bool Late) Read(JsonReader json)
    {
        json.AllowOnly("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special");
        return (Read(json["id"].Integer, json), json.Find("normalized")?.Flag ?? false);
    }

    private static AddedToken Read(int id, JsonReader json)
    {
        if (id is < 0 or > Vocabulary.HighestId)
        {
            throw json.Invalid($"needs an id from 0 to {Vocabulary.HighestId}");
        }

        json.Refuse("single_word", meaningless: false);
        return new AddedToken(
            id,
            json["content"].Text,
            json.Find("special")?.Flag ?? false,
            json.Find("lstrip")?.Flag ?? false,
            json.Find("rstrip")?.Flag ?? false);
    }
}
