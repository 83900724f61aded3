using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// The tokens beside the model's own. Several files may name them, and all of them count; the one that is read later decides a token's
/// flags, and two that contradict each other about an id are refused.
/// </summary>
internal sealed class AddedVocabulary
{
    private const string Remedy = "Correct the one that is wrong.";

    private readonly TokenizerPipeline _pipeline;
    private readonly Dictionary<string, (AddedToken Token, string File)> _byContent = new(StringComparer.Ordinal);
    private readonly Dictionary<int, string> _contents = [];

    /// <exception cref="InvalidDataException">Two files contradict each other, or a token is empty.</exception>
    public AddedVocabulary(TokenizerPipeline pipeline, TokenizerSettings settings)
    {
        _pipeline = pipeline;
        foreach ((string file, IReadOnlyList<AddedToken> tokens) in new[]
        {
            // As in transformers: the first has no flags, and what the last says of them wins.
            (TokenizerFiles.AddedTokens, settings.AddedTokens),
            (pipeline.File, pipeline.AddedTokens),
            (TokenizerFiles.TokenizerConfig, settings.AddedTokensDecoder),
        })
        {
            foreach (AddedToken token in tokens)
            {
                Add(token, file);
            }
        }

        foreach (SpecialToken named in settings.SpecialTokens)
        {
            AddNamed(named);
        }
    }

    /// <summary>All of them.</summary>
    public IEnumerable<AddedToken> Tokens => _byContent.Values.Select(entry => entry.Token);

    /// <summary>The highest id + 1, the model's own tokens included.</summary>
    public int Size => Math.Max(_pipeline.Vocabulary.Size, _contents.Keys.DefaultIfEmpty(-1).Max() + 1);

    /// <summary>The id of an added token or one of the model's own.</summary>
    public int? IdOf(string content) =>
        _byContent.TryGetValue(content, out (AddedToken Token, string File) entry) ? entry.Token.Id
        : _pipeline.Vocabulary.TryFind(content, out int id) ? id
        : null;

    /// <summary>The highest id + 1 of the tokens that only the model itself has.</summary>
    public int OwnSize()
    {
        int size = _pipeline.Vocabulary.Size;
        while (size > 0 && (_pipeline.Vocabulary[size - 1] is null || _contents.ContainsKey(size - 1)))
        {
            size--;
        }

        return size;
    }

    private void Add(AddedToken token, string file)
    {
        string content = token.Content;
        if (content.Length == 0)
        {
            throw new InvalidDataException($"{file}: the added token with the id {token.Id} is empty. Give it a content, or remove it.");
        }

        string shown = NameList.Short(content);
        Vocabulary own = _pipeline.Vocabulary;
        if (token.Id < own.Size && own[token.Id] is { } other && other != content)
        {
            throw new InvalidDataException(
                $"{file}: the tokens '{NameList.Short(other)}'{From(_pipeline.File, file)} and '{shown}' have the same id, "
                + $"{token.Id}. {Remedy}");
        }

        if (own.TryFind(content, out int id) && id != token.Id)
        {
            throw new InvalidDataException(
                $"{file}: the added token '{shown}' has the id {token.Id}; in the vocabulary it is {id}{From(_pipeline.File, file)}. "
                + Remedy);
        }

        if (_byContent.TryGetValue(content, out (AddedToken Token, string File) known) && known.Token.Id != token.Id)
        {
            throw new InvalidDataException(
                $"{file}: the added token '{shown}' has the id {token.Id}, and the id {known.Token.Id}{From(known.File, file)}. "
                + Remedy);
        }

        if (_contents.TryGetValue(token.Id, out string? first) && first != content)
        {
            throw new InvalidDataException(
                $"{file}: the tokens '{NameList.Short(first)}'{From(_byContent[first].File, file)} and '{shown}' have the same id, "
                + $"{token.Id}. {Remedy}");
        }

        _contents[token.Id] = content;
        _byContent[content] = (token with { Special = token.Special || known.Token is { Special: true } }, file);
    }

    /// <summary>
    /// A token that is named as special is one, and is found in the text. Without an id it follows the last token, as in transformers. A
    /// begin or end token has to have one: numbered like that, the model would not know it, and who named it would not know that.
    /// </summary>
    private void AddNamed(SpecialToken named)
    {
        AddedToken token = named.Token;
        if (_byContent.TryGetValue(token.Content, out (AddedToken Token, string File) known))
        {
            _byContent[token.Content] = (known.Token with { Special = true }, known.File);
        }
        else if (IdOf(token.Content) is int id)
        {
            Add(token with { Id = id }, named.File);
        }
        else if (named.Key is not (SpecialToken.Bos or SpecialToken.Eos))
        {
            Add(token with { Id = Size }, named.File);
        }
    }

    private static string From(string file, string reported) => file == reported ? "" : $" ({file})";
}
