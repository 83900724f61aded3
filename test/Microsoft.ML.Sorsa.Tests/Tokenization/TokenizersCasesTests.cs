using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>Every row of every cases.jsonl.</summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersCasesTests
{
    public static IEnumerable<object[]> Names => TokenizerCases.Names;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void EncodesAsTheReference(string name)
    {
        TextTokenizer tokenizer = TokenizerCases.Load(name);
        TokenizerCases.NoFaults(TokenizerCases.Rows(name, "cases.jsonl").Select(row => TokenizerCases.Compare(
            TokenizerCases.Text(row),
            TokenizerCases.Ids(row),
            tokenizer.Encode(TokenizerCases.Text(row), row.GetProperty("add_special").GetBoolean()))));
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void DecodesAsTheReference(string name)
    {
        TextTokenizer tokenizer = TokenizerCases.Load(name);
        TokenizerCases.NoFaults(TokenizerCases.Rows(name, "cases.jsonl").SelectMany(row => new[]
        {
            TokenizerCases.Compare(
                "all", TokenizerCases.Text(row, "decoded"), tokenizer.Decode(TokenizerCases.Ids(row), skipSpecialTokens: false)),
            TokenizerCases.Compare(
                "skipping", TokenizerCases.Text(row, "decoded_skip_special"),
                tokenizer.Decode(TokenizerCases.Ids(row), skipSpecialTokens: true)),
        }));
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void EncodesTheSameFromManyThreads(string name)
    {
        TextTokenizer tokenizer = TokenizerCases.Load(name);
        var rows = TokenizerCases.Rows(name, "cases.jsonl").ToArray();
        string?[] checks = new string?[rows.Length * 4];
        Parallel.For(0, checks.Length, i => checks[i] = TokenizerCases.Compare(
            TokenizerCases.Text(rows[i % rows.Length]),
            TokenizerCases.Ids(rows[i % rows.Length]),
            tokenizer.Encode(TokenizerCases.Text(rows[i % rows.Length]), rows[i % rows.Length].GetProperty("add_special").GetBoolean())));
        TokenizerCases.NoFaults(checks);
    }
}
