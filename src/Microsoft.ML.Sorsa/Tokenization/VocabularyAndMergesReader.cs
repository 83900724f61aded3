using System.Text;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Reads vocab.json and merges.txt, the files of byte-level tokenizers before tokenizer.json. How a text is split stands in no file: it is
/// in the class that tokenizer_config.json names, of which GPT-2's and Qwen 2's are known here.
/// </summary>
internal static class VocabularyAndMergesReader
{
    private const string VocabJson = TokenizerFiles.VocabJson;
    private const string MergesTxt = TokenizerFiles.MergesTxt;
    private const string EndOfText = "<|endoftext|>";

    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    /// <exception cref="NotSupportedException">The class is another one, or asks for a space in front.</exception>
    public static TokenizerPipeline Read(ReadOnlySpan<byte> vocabulary, ReadOnlySpan<byte> merges, TokenizerSettings settings)
    {
        bool qwen = settings.TokenizerClass is "Qwen2Tokenizer" or "Qwen2TokenizerFast";
        if (!qwen && settings.TokenizerClass is not ("GPT2Tokenizer" or "GPT2TokenizerFast"))
        {
            throw Unsupported($"the class '{settings.TokenizerClass}' (GPT2Tokenizer and Qwen2Tokenizer are supported)");
        }

        if (settings.AddPrefixSpace ?? false)
        {
            throw Unsupported("add_prefix_space = true");
        }

        Vocabulary tokens = TokenizerJsonReader.ReadVocabulary(JsonReader.Parse(VocabJson, vocabulary), VocabJson);
        string pattern = qwen ? SplitPattern.Qwen2 : SplitPattern.Gpt2;
        BpeModel bpe = new(
            tokens, new ByteAlphabet(tokens, new UnknownToken(null, Fuse: false)), ReadMerges(merges, tokens), wholeWordsFirst: false);
        return new TokenizerPipeline
        {
            File = VocabJson,
            Vocabulary = tokens,
            Normalizer = qwen ? [new UnicodeRewrite(Composes: true, Compatibility: false)] : [],
            Model = bpe,
            Stages = [pattern],
            Encoder = new PatternSplitter(new SplitPattern(pattern, VocabJson), bpe),
            Decoder = new ByteLevelDecoder(),
            ImpliedBos = qwen ? null : EndOfText,
            ImpliedEos = EndOfText,
        };
    }

    private static MergeTable ReadMerges(ReadOnlySpan<byte> file, Vocabulary tokens)
    {
        List<(int Left, int Right, int Product)> merges = [];
        int number = 0;
        foreach (string line in Encoding.UTF8.GetString(file).Split('\n').Select(line => line.TrimEnd('\r')))
        {
            number++;
            if (line.Length == 0 || (number == 1 && line.StartsWith("#version", StringComparison.Ordinal)))
            {
                continue;
            }

            merges.Add(line.Split(' ') is [var left, var right]
                && tokens.TryFind(left, out int leftId)
                && tokens.TryFind(right, out int rightId)
                && tokens.TryFind(left + right, out int product)
                ? (leftId, rightId, product)
                : throw new InvalidDataException(
                    $"{MergesTxt}, line {number} is '{line}'; it must be two tokens of {VocabJson} that together are a third."));
        }

        return MergeTable.FromList(merges);
    }

    private static NotSupportedException Unsupported(string what) => new(
        $"{TokenizerFiles.TokenizerConfig}, beside {VocabJson} and {MergesTxt}, has {what}, which is not supported; convert the tokenizer "
        + $"to {TokenizerFiles.TokenizerJson}: transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder).");
}
