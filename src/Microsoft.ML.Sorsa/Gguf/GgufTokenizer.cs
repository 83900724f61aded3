using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>
/// A tokenizer as llama.cpp's keys. llama.cpp has no tokenizer.json: it has a few algorithms of its own, and the file says which one, and
/// its tokens. What no algorithm of llama.cpp does is refused; what one does otherwise in few texts is told.
/// </summary>
internal sealed class GgufTokenizer
{
    private const string Prefix = "tokenizer.ggml.";

    private static readonly string[] s_otherEnds = ["eot_token_id", "eom_token_id"];

    private readonly TextTokenizer _tokenizer;
    private readonly GgufVocabulary _vocabulary;
    private readonly List<string> _differences = [];

    /// <param name="tokenizer">The model's.</param>
    /// <param name="rows">The rows of its embedding: so many tokens the file has.</param>
    public GgufTokenizer(TextTokenizer tokenizer, int rows)
    {
        _tokenizer = tokenizer;
        _vocabulary = new GgufVocabulary(tokenizer, rows);
    }

    /// <summary>What llama.cpp does otherwise, each as a sentence.</summary>
    public IReadOnlyList<string> Differences => _differences;

    /// <summary>Adds the vocabulary and all that decides which ids a text has.</summary>
    /// <param name="metadata">Where to.</param>
    /// <param name="preTokenizer">How llama.cpp calls the way in which texts are cut into words; null: it is found.</param>
    /// <exception cref="NotSupportedException">llama.cpp has no such tokenizer.</exception>
    public void Add(GgufMetadata metadata, string? preTokenizer)
    {
        TokenizerPipeline pipeline = _tokenizer.Pipeline;
        if (pipeline.Model.Alphabet is ByteAlphabet)
        {
            AddBytePairs(metadata, preTokenizer);
        }
        else
        {
            OptionRange.Fit(
                preTokenizer is null, nameof(preTokenizer), $"'{preTokenizer}'",
                "the tokenizer is SentencePiece's, which cuts no text into words", "Leave it null");
            var pieces = new SentencePieceTokens(_tokenizer);
            metadata.Add(Prefix + "model", "llama");
            metadata.Add(Prefix + "pre", "default");
            metadata.Add(Prefix + "add_space_prefix", pieces.AddsSpace(_differences));
            metadata.Add(Prefix + "scores", pieces.Scores(_vocabulary.Tokens.Count));
        }

        metadata.Add(Prefix + "tokens", _vocabulary.Tokens);
        metadata.Add(Prefix + "token_type", _vocabulary.Types);
        AddEnds(metadata);
        if (_tokenizer.PadTokenId is int pad)
        {
            metadata.Add(Prefix + "padding_token_id", (uint)pad);
        }

        if (pipeline.Model.Alphabet.UnknownId is int unknown)
        {
            metadata.Add(Prefix + "unknown_token_id", (uint)unknown);
        }

        if (_tokenizer.ChatTemplateText is { } template)
        {
            metadata.Add("tokenizer.chat_template", template);
        }

        if (_tokenizer.ToolTemplateText is { } toolUse)
        {
            metadata.Add("tokenizer.chat_template.tool_use", toolUse);
            metadata.Add("tokenizer.chat_templates", (string[])["tool_use"]);
        }

        Look();
    }

    /// <summary>Adds the tokens that end an answer.</summary>
    /// <param name="metadata">Where to.</param>
    /// <param name="end">The one that ends a text: eos.</param>
    /// <param name="others">The others, of which llama.cpp takes two; more are told.</param>
    public void AddEndTokens(GgufMetadata metadata, int end, IReadOnlyList<int> others)
    {
        metadata.Add(Prefix + "eos_token_id", (uint)end);
        foreach ((string key, int id) in s_otherEnds.Zip(others))
        {
            metadata.Add(Prefix + key, (uint)id);
        }

        if (others.Count > s_otherEnds.Length)
        {
            _differences.Add("the file names three tokens that end an answer, and these, which end one here, are not among them: "
                + NameList.Join([.. others.Skip(s_otherEnds.Length).Select(id => _vocabulary.Tokens[id])]));
        }
    }

    private void AddBytePairs(GgufMetadata metadata, string? preTokenizer)
    {
        metadata.Add(Prefix + "model", "gpt2");
        metadata.Add(Prefix + "pre", preTokenizer ?? PreTokenizerNames.Find(_tokenizer));
        Vocabulary vocabulary = _tokenizer.Pipeline.Vocabulary;

        // A word of bytes has no blank in it: a merge with one never happens, and could not be told from the blank between its two.
        metadata.Add(Prefix + "merges",
        [
            .. _tokenizer.Pipeline.Model.Merges.InOrder.Select(merge => (Left: vocabulary[merge.Left]!, Right: vocabulary[merge.Right]!))
                .Where(merge => !merge.Left.Contains(' ') && !merge.Right.Contains(' '))
                .Select(merge => $"{merge.Left} {merge.Right}"),
        ]);
        if (_tokenizer.Pipeline.Normalizer.Count > 0)
        {
            _differences.Add(_tokenizer.Pipeline.Normalizer is [UnicodeRewrite { Composes: true, Compatibility: false }]
                ? "it does not bring texts into Unicode's form NFC first"
                : throw new NotSupportedException(
                    $"{_tokenizer.Pipeline.File} has a normalizer, and llama.cpp has none for byte-level tokenizers. Normalise texts "
                    + "before they are given to the model, and remove the normalizer from the file."));
        }

        if (_tokenizer.Pipeline.Model.Alphabet is { HasEveryByte: false, UnknownId: not null })
        {
            _differences.Add("it drops bytes that the vocabulary lacks, where the tokenizer has a token for them");
        }
    }

    /// <summary>What stands around a text. llama.cpp knows one token on each side.</summary>
    private void AddEnds(GgufMetadata metadata)
    {
        int? begin = _tokenizer.Prefix is [int first, ..] ? first : _tokenizer.BosTokenId;
        if (_tokenizer.Prefix.Count > 1)
        {
            throw Around("begins", _tokenizer.Prefix);
        }

        if (_tokenizer.Suffix.Count > 1 || (_tokenizer.Suffix is [int last] && last != _tokenizer.EosTokenId))
        {
            throw Around("ends", _tokenizer.Suffix);
        }

        if (begin is int bos)
        {
            metadata.Add(Prefix + "bos_token_id", (uint)bos);
        }

        // Always: some of llama.cpp's names bring a default of their own.
        metadata.Add(Prefix + "add_bos_token", _tokenizer.Prefix.Count > 0);
        metadata.Add(Prefix + "add_eos_token", _tokenizer.Suffix.Count > 0);
    }

    private NotSupportedException Around(string verb, IReadOnlyList<int> ids) => new(
        $"The tokenizer {verb} every text with {NameList.Join([.. ids.Select(_tokenizer.TokenOf)])}, and a GGUF file has one token there, "
        + "bos_token in front or eos_token behind. Change the post_processor of tokenizer.json.");

    private void Look()
    {
        AddedToken[] moving = [.. _tokenizer.AddedTokens.Where(token =>
            token.TakesSpaceBefore || token.TakesSpaceAfter || token.SingleWord)];
        if (moving.Length > 0)
        {
            _differences.Add("it finds these tokens without the white space around them, and inside words (lstrip, rstrip, single_word): "
                + NameList.Join([.. moving.Select(token => token.Content)]));
        }

        AddedToken[] normalized = [.. _tokenizer.AddedTokens.Where(token => _tokenizer.TokenOf(token.Id) != token.Content)];
        if (normalized.Length > 0)
        {
            _differences.Add("it finds these tokens as they are written, and not in the normalised text: "
                + NameList.Join([.. normalized.Select(token => token.Content)]));
        }
    }
}
