using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>
/// Every row of every streaming.jsonl. Where two ways are right, ours emits the finished bytes of a token at once (emit_earliest).
/// </summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersStreamingTests
{
    public static IEnumerable<object[]> Names => TokenizerCases.Names;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void EmitsWhatEachTokenCompletes(string name)
    {
        TextTokenizer tokenizer = TokenizerCases.Load(name);
        TokenizerCases.NoFaults(TokenizerCases.Rows(name, "streaming.jsonl").Select(row => Check(tokenizer, row)));
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void StartsAfreshAfterFlush(string name)
    {
        TextTokenizer tokenizer = TokenizerCases.Load(name);
        TextStream stream = tokenizer.CreateStream();
        TokenizerCases.NoFaults(TokenizerCases.Rows(name, "streaming.jsonl").Select(row =>
        {
            StringBuilder text = new();
            foreach (int id in TokenizerCases.Ids(row))
            {
                text.Append(stream.Push(id));
            }

            return TokenizerCases.Compare(row.ToString(), TokenizerCases.Text(row), text.Append(stream.Flush()).ToString());
        }));
    }

    private static string? Check(TextTokenizer tokenizer, JsonElement row)
    {
        TextStream stream = tokenizer.CreateStream();
        string[] pieces = [.. TokenizerCases.Ids(row).Select(stream.Push)];
        string rest = stream.Flush();
        if (TokenizerCases.Compare(row.ToString(), TokenizerCases.Text(row), string.Concat(pieces) + rest) is { } fault)
        {
            return fault;
        }

        return row.TryGetProperty("emit_earliest", out JsonElement emit) || row.TryGetProperty("emit", out emit)
            ? TokenizerCases.Compare(
                row.ToString(),
                string.Join('|', emit.EnumerateArray().Select(piece => piece.GetString())),
                string.Join('|', pieces))
            : null;
    }
}
