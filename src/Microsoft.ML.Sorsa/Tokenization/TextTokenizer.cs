namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// A model's tokenizer: text to ids and back. It gives the ids that Hugging Face's tokenizers library gives from tokenizer.json as it is
/// written; where a folder has only tokenizer.model, those of SentencePiece or of Llama 3's tiktoken file. Encode and Decode may be called
/// from several threads at once.
/// </summary>
internal sealed class TextTokenizer : ITextTokenizer
{
    private readonly TokenizerPipeline _pipeline;
    private readonly string?[] _tokens;
    private readonly bool[] _special;
    private readonly int[] _prefix;
    private readonly int[] _suffix;

    private TextTokenizer(TokenizerFiles files)
    {
        Files = files;
        TokenizerSettings settings = TokenizerSettings.Read(files);
        _pipeline = ReadPipeline(files, settings);

        AddedToken[] added = [.. _pipeline.AddedTokens.All, .. _pipeline.LateAddedTokens?.All ?? []];
        VocabularySize = Math.Max(_pipeline.Vocabulary.Size, added.Select(token => token.Id + 1).DefaultIfEmpty().Max());
        _special = new bool[VocabularySize];
        _tokens = new string?[VocabularySize];
        for (int id = 0; id < _pipeline.Vocabulary.Size; id++)
        {
            _tokens[id] = _pipeline.Vocabulary[id];
        }

        foreach (AddedToken token in added)
        {
            if ((_tokens[token.Id] ?? token.Content) != token.Content)
            {
                throw new InvalidDataException(
                    $"{files.Names[0]}: the tokens '{_tokens[token.Id]}' and '{token.Content}' have the same id, {token.Id}.");
            }

            if (_pipeline.Vocabulary.TryFind(token.Content, out int id) && id != token.Id)
            {
                throw new InvalidDataException(
                    $"{files.Names[0]}: the added token '{token.Content}' has the id {token.Id}; in the vocabulary it is {id}.");
            }

            _tokens[token.Id] = token.Content;
            _special[token.Id] = token.Special;
        }

        BosToken = settings.Bos ?? _pipeline.ImpliedBos;
        EosToken = settings.Eos ?? _pipeline.ImpliedEos;
        BosTokenId = IdOf("bos_token", BosToken);
        EosTokenId = IdOf("eos_token", EosToken);
        PadTokenId = IdOf("pad_token", settings.Pad);
        ChatTemplateText = settings.ChatTemplate;

        // A class that reads tokenizer.model puts the first token in front unless told otherwise, and none behind.
        _prefix = [.. _pipeline.Prefix ?? ((settings.AddBos ?? true) && BosTokenId is int bos ? [bos] : [])];
        _suffix = [.. _pipeline.Suffix ?? ((settings.AddEos ?? false) && EosTokenId is int eos ? [eos] : [])];
        foreach (int id in _prefix.Concat(_suffix))
        {
            if (id < 0 || id >= VocabularySize || _tokens[id] is null)
            {
                throw new InvalidDataException(
                    $"{TokenizerFiles.TokenizerJson}: the post_processor names the id {id}, which no token has.");
            }
        }
    }

    /// <summary>The files that it was read from.</summary>
    public TokenizerFiles Files { get; }

    /// <summary>The highest id + 1, added tokens included; a model's embedding needs at least so many rows.</summary>
    public int VocabularySize { get; }

    int? ITextTokenizer.VocabularySize => VocabularySize;

    /// <summary>The token that begins a text; null where none is named.</summary>
    public int? BosTokenId { get; }

    /// <summary>The token that ends a text; null where none is named.</summary>
    public int? EosTokenId { get; }

    /// <summary>The token for padding; null where none is named.</summary>
    public int? PadTokenId { get; }

    /// <summary>The text of <see cref="BosTokenId"/>.</summary>
    public string? BosToken { get; }

    /// <summary>The text of <see cref="EosTokenId"/>.</summary>
    public string? EosToken { get; }

    /// <summary>The chat template, unread; null where there is none (or several, and none called "default").</summary>
    public string? ChatTemplateText { get; }

    /// <summary>Whether <see cref="Encode"/> with special tokens begins with <see cref="BosTokenId"/>.</summary>
    public bool AddsBos => BosTokenId is int bos && _prefix.Length > 0 && _prefix[0] == bos;

    /// <summary>Reads the tokenizer of a model folder.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It holds neither tokenizer.json nor tokenizer.model.</exception>
    /// <exception cref="InvalidDataException">A file is damaged; the message names it and the key.</exception>
    /// <exception cref="NotSupportedException">
    /// A file asks for something that is not supported; the message names it and what is.
    /// </exception>
    public static TextTokenizer Load(string folder) => Load(TokenizerFiles.FromFolder(folder));

    /// <summary>Reads the tokenizer from files in memory.</summary>
    /// <exception cref="InvalidDataException">A file is damaged; the message names it and the key.</exception>
    /// <exception cref="NotSupportedException">
    /// A file asks for something that is not supported; the message names it and what is.
    /// </exception>
    public static TextTokenizer Load(TokenizerFiles files)
    {
        ArgumentNullException.ThrowIfNull(files);
        return new TextTokenizer(files);
    }

    /// <summary>
    /// The ids of a text. Special tokens written out in the text are found as such; lone surrogates count as U+FFFD.
    /// </summary>
    /// <param name="text">Any text; an empty one has no ids of its own.</param>
    /// <param name="addSpecialTokens">Whether to add what the tokenizer puts around a text (BOS in front, where it does).</param>
    /// <param name="plain">Stretches of the text in which no special token is found: see <see cref="PlainStretches"/>.</param>
    public int[] Encode(string text, bool addSpecialTokens, IReadOnlyList<Range>? plain = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        PlainStretches? stretches = plain is { Count: > 0 } ? new PlainStretches(text, plain) : null;
        ReadOnlySpan<char> wellFormed = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0
            ? text
            : System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text));

        List<int> ids = new(capacity: (wellFormed.Length / 3) + 8);
        if (addSpecialTokens)
        {
            ids.AddRange(_prefix.AsSpan());
        }

        EncodeBetween(_pipeline.AddedTokens, wellFormed, 0, stretches, ids);
        if (addSpecialTokens)
        {
            ids.AddRange(_suffix.AsSpan());
        }

        return [.. ids];
    }

    /// <summary>The text of ids.</summary>
    /// <param name="ids">Ids from 0 to <see cref="VocabularySize"/> - 1.</param>
    /// <param name="skipSpecialTokens">Whether to leave special tokens out.</param>
    /// <exception cref="ArgumentOutOfRangeException">No token has that id.</exception>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens)
    {
        List<string> tokens = new(ids.Length);
        foreach (int id in ids)
        {
            string token = TokenOf(id);
            if (!skipSpecialTokens || !_special[id])
            {
                tokens.Add(token);
            }
        }

        return _pipeline.Decoder.Decode(tokens);
    }

    /// <summary>A decoder for ids that come one by one; special tokens are skipped. It belongs to one thread.</summary>
    public TextStream CreateStream() => new(TokenOf, IsSpecial, _pipeline.Decoder.CreateStream());

    ITextStream ITextTokenizer.CreateStream() => CreateStream();

    /// <inheritdoc/>
    public int? Find(string token) => FindAdded(token)?.Id ?? (_pipeline.Vocabulary.TryFind(token, out int id) ? id : null);

    /// <inheritdoc/>
    public string? SpecialText(int id) => id >= 0 && id < VocabularySize && _special[id] ? _tokens[id] : null;

    /// <summary>The token of an id, as the vocabulary writes it.</summary>
    internal string TokenOf(int id) => id >= 0 && id < VocabularySize && _tokens[id] is { } token
        ? token
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"No token has this id; ids go from 0 to {VocabularySize - 1}.");

    internal bool IsSpecial(int id) => _special[id];

    private static TokenizerPipeline ReadPipeline(TokenizerFiles files, TokenizerSettings settings)
    {
        if (files.Find(TokenizerFiles.TokenizerJson) is { } json)
        {
            return TokenizerJsonReader.Read(json);
        }

        byte[] model = files.Find(TokenizerFiles.TokenizerModel)!;
        return SentencePieceReader.Recognises(model) ? SentencePieceReader.Read(model, settings) : TiktokenReader.Read(model, settings);
    }

    /// <param name="tokens">Those to look for.</param>
    /// <param name="text">A stretch of the whole text.</param>
    /// <param name="offset">Where in the whole text it begins.</param>
    /// <param name="plain">Stretches of the whole text that are ordinary text; null: none.</param>
    /// <param name="ids">Where the ids go.</param>
    private void EncodeBetween(AddedTokens tokens, ReadOnlySpan<char> text, int offset, PlainStretches? plain, List<int> ids)
    {
        Func<AddedToken, int, bool>? hide = plain is null ? null : (token, start) => plain.Hide(token, offset + start);
        for (int from = 0; from < text.Length;)
        {
            AddedToken? token = tokens.FindNext(text, from, hide, out int start, out int end);
            if (start > from)
            {
                EncodeStretch(tokens, text[from..start], offset + from, plain, ids);
            }

            if (token is not null)
            {
                ids.Add(token.Id);
            }

            from = end;
        }
    }

    private void EncodeStretch(AddedTokens searched, ReadOnlySpan<char> text, int offset, PlainStretches? plain, List<int> ids)
    {
        if (_pipeline.LateAddedTokens is { } late && searched != late)
        {
            EncodeBetween(late, text, offset, plain, ids);
        }
        else if (_pipeline.Rewrites.Count == 0)
        {
            _pipeline.Encoder.Accept(text, ids);
        }
        else
        {
            string rewritten = text.ToString();
            foreach (TextRewrite rewrite in _pipeline.Rewrites)
            {
                rewritten = rewrite.Apply(rewritten, atStart: offset == 0);
            }

            if (rewritten.Length > 0)
            {
                _pipeline.Encoder.Accept(rewritten, ids);
            }
        }
    }

    private AddedToken? FindAdded(string token) => _pipeline.AddedTokens.Find(token) ?? _pipeline.LateAddedTokens?.Find(token);

    private int? IdOf(string key, string? token)
    {
        if (token is null)
        {
            return null;
        }

        return Find(token)
            ?? throw new InvalidDataException(
                $"{TokenizerFiles.TokenizerConfig}: '{key}' is '{token}', which is not in the vocabulary; name a token that is, or null.");
    }
}
