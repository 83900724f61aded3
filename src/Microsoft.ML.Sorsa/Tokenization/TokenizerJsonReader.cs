using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Reads tokenizer.json, the format of Hugging Face's tokenizers library, which Microsoft.ML.Tokenizers does not read. The file describes
/// a pipeline (added tokens, normalizer, pre-tokenizer, model, post-processor, decoder); what is not supported in it is refused by name.
/// </summary>
internal static class TokenizerJsonReader
{
    private const string File = TokenizerFiles.TokenizerJson;

    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    /// <exception cref="NotSupportedException">It asks for something that is not supported.</exception>
    public static TokenizerPipeline Read(ReadOnlySpan<byte> json)
    {
        JsonReader root = JsonReader.Parse(File, json);
        root.AllowOnly(
            "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model");

        // "truncation" and "padding" are what the file was last used with; transformers sets them aside, too.

        JsonReader model = root["model"];
        Vocabulary vocabulary = ReadVocabulary(model["vocab"], File);
        PreTokenizerReader preTokenizer = PreTokenizerReader.Read(root.Find("pre_tokenizer"));
        BpeModel bpe = ReadModel(model, vocabulary, preTokenizer.ByteLevel);
        TemplateReader template = TemplateReader.Read(root.Find("post_processor"));
        return new TokenizerPipeline
        {
            File = File,
            Vocabulary = vocabulary,
            AddedTokens = [.. AddedTokenReader.ReadList(root.Find("added_tokens"))],
            Normalizer = NormalizerReader.Read(root.Find("normalizer")).Rewrites,
            Rewrites = preTokenizer.Rewrites,
            Model = bpe,
            Stages = preTokenizer.Stages,
            Encoder = preTokenizer.Chain(bpe),
            Decoder = DecoderReader.Read(root.Find("decoder") ?? throw new NotSupportedException(
                $"{File}: without a 'decoder' tokens cannot become text again; supported are ByteLevel and Sequence.")),
            Prefix = template.Prefix,
            Suffix = template.Suffix,
        };
    }

    /// <summary>An object of tokens and their ids.</summary>
    public static Vocabulary ReadVocabulary(JsonReader json, string file)
    {
        Dictionary<string, int> ids = new(StringComparer.Ordinal);
        foreach ((string token, JsonReader id) in json.Members)
        {
            ids[token] = id.Integer is >= 0 and <= Vocabulary.HighestId
                ? id.Integer
                : throw id.Invalid($"must be from 0 to {Vocabulary.HighestId}");
        }

        return new Vocabulary(ids, file);
    }

    private static BpeModel ReadModel(JsonReader model, Vocabulary vocabulary, bool byteLevel)
    {
        if (model.Find("type") is { } type && type.Text != "BPE")
        {
            throw type.Unsupported("the one model that is supported is BPE");
        }

        model.AllowOnly(
            "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges",
            "vocab", "merges");
        model.Refuse("dropout");
        model.Refuse("continuing_subword_prefix");
        model.Refuse("end_of_word_suffix");

        UnknownToken unknown = new(UnknownId(model, vocabulary), model.Find("fuse_unk")?.Flag ?? false);
        bool byteFallback = model.Find("byte_fallback")?.Flag ?? false;
        if (byteLevel && byteFallback)
        {
            throw model["byte_fallback"].Unsupported("with the pre-tokenizer ByteLevel it must be false");
        }

        SymbolAlphabet alphabet = byteLevel
            ? new ByteAlphabet(vocabulary, unknown)
            : new CharacterAlphabet(vocabulary, unknown, byteFallback, File);
        MergeTable merges = MergeTable.FromList([.. model["merges"].Items.Select(merge => ReadMerge(merge, vocabulary))]);
        return new BpeModel(vocabulary, alphabet, merges, model.Find("ignore_merges")?.Flag ?? false);
    }

    private static int? UnknownId(JsonReader model, Vocabulary vocabulary) =>
        model.Find("unk_token") is not { } token ? null
        : vocabulary.TryFind(token.Text, out int id) ? id
        : throw token.Invalid("must be a token of the vocabulary");

    /// <summary>Older files write a merge as "a b", newer ones as ["a", "b"].</summary>
    private static (int Left, int Right, int Product) ReadMerge(JsonReader merge, Vocabulary vocabulary)
    {
        string[] pair = merge.IsArray ? [.. merge.Items.Select(item => item.Text)] : merge.Text.Split(' ');
        return pair.Length == 2
            && vocabulary.TryFind(pair[0], out int left)
            && vocabulary.TryFind(pair[1], out int right)
            && vocabulary.TryFind(pair[0] + pair[1], out int product)
            ? (left, right, product)
            : throw merge.Invalid("must be two tokens of the vocabulary that together are a third");
    }
}
