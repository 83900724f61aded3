using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// A model's tokenizer: text to ids and back. It gives the ids that Hugging Face's tokenizers library gives from tokenizer.json as it is
/// written; where a folder has only tokenizer.model, those of SentencePiece or of Llama 3's tiktoken file. Encode and Decode may be called
/// from several threads at once.
/// </summary>
internal sealed class TextTokenizer : ITextTokenizer
{
    private readonly TokenDecoder _decoder;
    private readonly TextEncoder _encoder;
    private readonly AddedVocabulary _added;
    private readonly Dictionary<int, string> _specialTexts;
    private readonly string?[] _tokens;
    private readonly bool[] _special;
    private readonly int[] _prefix;
    private readonly int[] _suffix;
    private readonly int _rows;

    private TextTokenizer(TokenizerFiles files, int? rows, string source)
    {
        Files = files;
        TokenizerSettings settings = TokenizerSettings.Read(files);
        TokenizerPipeline pipeline = Pipeline = ReadPipeline(files, settings);
        AddedVocabulary added = _added = new(pipeline, settings);
        if (added.OwnSize() is var own && own > rows)
        {
            throw new ArgumentException(
                $"The tokenizer in '{source}' has {own} tokens and the model {rows} (vocab_size). Use the tokenizer of this model.");
        }

        VocabularySize = added.Size;
        _rows = rows ?? int.MaxValue;
        _decoder = pipeline.Decoder;
        _encoder = new TextEncoder(pipeline, [.. added.Tokens]);
        _special = new bool[VocabularySize];
        _specialTexts = added.Tokens.Where(token => token.Special).ToDictionary(token => token.Id, token => token.Content);
        _tokens = new string?[VocabularySize];
        for (int id = 0; id < pipeline.Vocabulary.Size; id++)
        {
            _tokens[id] = pipeline.Vocabulary[id];
        }

        foreach (AddedToken token in added.Tokens)
        {
            // As the decoder expects it: for a token that is searched in normalised text that is its normalised form.
            _tokens[token.Id] = token.Normalized ? _encoder.Normalize(token.Content) : token.Content;
            _special[token.Id] = token.Special;
        }

        (BosToken, BosTokenId) = Named(SpecialToken.Bos, pipeline.ImpliedBos);
        (EosToken, EosTokenId) = Named(SpecialToken.Eos, pipeline.ImpliedEos);
        PadTokenId = Named(SpecialToken.Pad, null).Id is int pad && pad < _rows ? pad : null;
        ChatTemplateText = settings.ChatTemplate;
        ToolTemplateText = settings.ToolTemplate;
        _prefix = Around(pipeline.Prefix, settings.AddBos, pipeline.AddsBos, BosTokenId, (ids, bos) => [bos, .. ids]);
        _suffix = Around(pipeline.Suffix, settings.AddEos, false, EosTokenId, (ids, eos) => [.. ids, eos]);
        foreach (int id in _prefix.Concat(_suffix))
        {
            if (id < 0 || id >= VocabularySize || _tokens[id] is null)
            {
                throw new InvalidDataException(
                    $"{TokenizerFiles.TokenizerJson}: the post_processor names the id {id}, which no token has.");
            }
        }

        VerifyRows(_prefix, "Every text begins with");
        BosTokenId = BosTokenId < _rows ? BosTokenId : null;

        (string? Token, int? Id) Named(string key, string? implied) =>
            settings.Find(key) is not { } named ? (implied, implied is null ? null : added.IdOf(implied))
            : added.IdOf(named.Token.Content) is int id ? (named.Token.Content, id)
            : throw new InvalidDataException(
                $"{named.File}: '{key}' is '{NameList.Short(named.Token.Content)}', which is not in the vocabulary, and no file "
                + "gives it an id; name a token that has one, or null.");
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

    /// <summary>The one of several that is called "tool_use", unread; null where there is none.</summary>
    public string? ToolTemplateText { get; }

    /// <summary>Whether <see cref="Encode"/> with special tokens begins with <see cref="BosTokenId"/>.</summary>
    public bool AddsBos => BosTokenId is int bos && _prefix.Length > 0 && _prefix[0] == bos;

    /// <summary>What its file says.</summary>
    internal TokenizerPipeline Pipeline { get; }

    /// <summary>The tokens that are found in a text as a whole.</summary>
    internal IEnumerable<AddedToken> AddedTokens => _added.Tokens;

    /// <summary>What stands in front of every text.</summary>
    internal IReadOnlyList<int> Prefix => _prefix;

    /// <summary>What stands behind every text.</summary>
    internal IReadOnlyList<int> Suffix => _suffix;

    /// <summary>Reads the tokenizer of a model folder.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It holds none of the files that a vocabulary is in.</exception>
    /// <inheritdoc cref="Load(TokenizerFiles, int?, string)"/>
    public static TextTokenizer Load(string folder, int? rows = null) => Load(TokenizerFiles.FromFolder(folder), rows, folder);

    /// <summary>Reads the tokenizer from files in memory.</summary>
    /// <param name="files">Its files.</param>
    /// <param name="rows">
    /// How many tokens the model has rows for. Added tokens may have ids beyond, as the padding token of many models has: such a token is
    /// no BOS and no padding, and a text that holds it is refused. Null: not known.
    /// </param>
    /// <param name="source">What errors call the place that the files are from.</param>
    /// <exception cref="ArgumentException">
    /// Tokens of the vocabulary itself, or the one that every text begins with, are beyond the model's rows.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// A file is damaged, or two contradict each other; the message names them and the key.
    /// </exception>
    /// <exception cref="NotSupportedException">
    /// A file asks for something that is not supported; the message names it and what is.
    /// </exception>
    public static TextTokenizer Load(TokenizerFiles files, int? rows = null, string source = "memory")
    {
        ArgumentNullException.ThrowIfNull(files);
        return new TextTokenizer(files, rows, source);
    }

    /// <summary>
    /// The ids of a text. Special tokens written out in the text are found as such; lone surrogates count as U+FFFD.
    /// </summary>
    /// <param name="text">Any text; an empty one has no ids of its own.</param>
    /// <param name="addSpecialTokens">Whether to add what the tokenizer puts around a text (BOS in front, where it does).</param>
    /// <param name="plain">Stretches of the text in which no special token is found: see <see cref="PlainStretches"/>.</param>
    /// <param name="markedEnd">Where the text ends that such stretches stand in; null: at its end.</param>
    /// <exception cref="TokenWithoutRowException">A token in the text is beyond the model's rows.</exception>
    /// <exception cref="InvalidDataException">The pattern that splits texts takes too long on this one.</exception>
    public int[] Encode(string text, bool addSpecialTokens, IReadOnlyList<Range>? plain = null, int? markedEnd = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        ReadOnlySpan<char> wellFormed = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0
            ? text
            : System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text));

        List<int> ids = new(capacity: (wellFormed.Length / 3) + 8);
        if (addSpecialTokens)
        {
            ids.AddRange(_prefix.AsSpan());
        }

        _encoder.Encode(wellFormed, plain is { Count: > 0 } ? new PlainStretches(text, plain, markedEnd) : null, ids);
        if (addSpecialTokens)
        {
            ids.AddRange(_suffix.AsSpan());
        }

        VerifyRows(CollectionsMarshal.AsSpan(ids), "The text holds");
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

        return _decoder.Decode(tokens);
    }

    /// <summary>A decoder for ids that come one by one; special tokens are skipped. It belongs to one thread.</summary>
    public TextStream CreateStream() => new(TokenOf, IsSpecial, _decoder.CreateStream());

    ITextStream ITextTokenizer.CreateStream() => CreateStream();

    /// <inheritdoc/>
    public int? Find(string token) => _added.IdOf(token) is int id && id < _rows ? id : null;

    /// <inheritdoc/>
    public string? SpecialText(int id) => _specialTexts.GetValueOrDefault(id);

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

        if (files.Find(TokenizerFiles.TokenizerModel) is { } model)
        {
            return SentencePieceReader.Recognises(model) ? SentencePieceReader.Read(model, settings) : TiktokenReader.Read(model, settings);
        }

        return VocabularyAndMergesReader.Read(files.Find(TokenizerFiles.VocabJson), files.Find(TokenizerFiles.MergesTxt), settings);
    }

    /// <summary>
    /// What stands on one side of a text: what tokenizer.json writes there, with or without the token as tokenizer_config.json says.
    /// </summary>
    private static int[] Around(IReadOnlyList<int>? written, bool? wanted, bool byDefault, int? token, Func<int[], int, int[]> add)
    {
        int[] ids = [.. written ?? []];
        wanted ??= written is null ? byDefault : null;
        return token is not int id || wanted is null || wanted == ids.Contains(id) ? ids
            : wanted.Value ? add(ids, id)
            : [.. ids.Where(other => other != id)];
    }

    private void VerifyRows(ReadOnlySpan<int> ids, string what)
    {
        if (VocabularySize <= _rows)
        {
            return;
        }

        foreach (int id in ids)
        {
            if (id >= _rows)
            {
                throw new TokenWithoutRowException(string.Create(CultureInfo.InvariantCulture,
                    $"{what} '{_tokens[id]}', which is token {id}, and the model has the tokens 0 to {_rows - 1} (vocab_size {_rows}). " +
                    $"Do without it, or give the model a row for it (resize_token_embeddings in transformers)."));
            }
        }
    }
}

/// <summary>A text has a token that the tokenizer knows and the model has no row for.</summary>
internal sealed class TokenWithoutRowException(string message) : ArgumentException(message);
