using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// Reads Llama 3's tokenizer.model, a tiktoken file: a line per token, its bytes in base64 and its rank. Pattern and special tokens are
/// not in it and are Llama 3's. (Microsoft.ML.Tokenizers' TiktokenTokenizer has patterns over UTF-16 units: 6 of 747 rows come out
/// otherwise.)
/// </summary>
internal static class TiktokenReader
{
    private const string File = TokenizerFiles.TokenizerModel;

    private const int SpecialTokens = 256;

    // Those that are not reserved, by place behind the ranks.
    private static readonly string?[] s_named =
    [
        "<|begin_of_text|>", "<|end_of_text|>", null, null, "<|finetune_right_pad_id|>", null, "<|start_header_id|>", "<|end_header_id|>",
        "<|eom_id|>", "<|eot_id|>", "<|python_tag|>",
    ];

    /// <exception cref="InvalidDataException">A line is not base64 and a rank, or a token or a rank comes twice.</exception>
    public static TokenizerPipeline Read(ReadOnlySpan<byte> file, TokenizerSettings settings)
    {
        Dictionary<string, int> ids = ReadRanks(file);
        Vocabulary vocabulary = new(ids, File);
        MergeTable merges = MergeTable.FromRanks(vocabulary, ids.Values.ToDictionary(id => id));
        BpeModel bpe = new(vocabulary, new ByteAlphabet(vocabulary, new UnknownToken(null, Fuse: false)), merges, wholeWordsFirst: true);

        // The files beside it may name some of them otherwise: Llama 3.1 uses tokens that Llama 3 reserves.
        AddedToken[] elsewhere = [.. settings.AddedTokens, .. settings.AddedTokensDecoder];
        IEnumerable<AddedToken> special = Llama3Tokens(vocabulary.Size)
            .ExceptBy(elsewhere.Select(token => token.Id), token => token.Id)
            .ExceptBy(elsewhere.Select(token => token.Content), token => token.Content);
        return new TokenizerPipeline
        {
            File = File,
            Vocabulary = vocabulary,
            AddedTokens = [.. special],
            Model = bpe,
            Stages = [SplitPattern.Llama3],
            Encoder = new PatternSplitter(new SplitPattern(SplitPattern.Llama3, File), bpe),
            Decoder = new ByteLevelDecoder(),
            AddsBos = true,
            ImpliedBos = s_named[0],
            ImpliedEos = s_named[1],
        };
    }

    private static Dictionary<string, int> ReadRanks(ReadOnlySpan<byte> file)
    {
        Dictionary<string, int> ids = new(StringComparer.Ordinal);
        byte[] bytes = new byte[file.Length];
        int number = 0;
        foreach (Range range in file.Split((byte)'\n'))
        {
            number++;
            ReadOnlySpan<byte> line = file[range].TrimEnd((byte)'\r');
            if (line.IsEmpty)
            {
                continue;
            }

            int space = line.IndexOf((byte)' ');
            if (space <= 0
                || Base64.DecodeFromUtf8(line[..space], bytes, out _, out int length) != OperationStatus.Done
                || !int.TryParse(line[(space + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int rank)
                || rank > Vocabulary.HighestId)
            {
                string shown = Encoding.UTF8.GetString(line[..Math.Min(line.Length, 40)]);
                throw new InvalidDataException(
                    $"{File}, line {number} is '{shown}'; it must be a token's bytes in base64, " +
                    "a space and its rank (the file is neither SentencePiece nor tiktoken).");
            }

            if (!ids.TryAdd(ByteAlphabet.Write(bytes.AsSpan(0, length)), rank))
            {
                throw new InvalidDataException($"{File}, line {number}: the token comes twice.");
            }
        }

        return ids.Count > 0 ? ids : throw new InvalidDataException($"{File} is empty.");
    }

    private static IEnumerable<AddedToken> Llama3Tokens(int firstId)
    {
        int reserved = 0;
        for (int i = 0; i < SpecialTokens; i++)
        {
            string content = s_named.ElementAtOrDefault(i)
                ?? string.Create(CultureInfo.InvariantCulture, $"<|reserved_special_token_{reserved++}|>");
            yield return new AddedToken(firstId + i, content, Special: true);
        }
    }
}
