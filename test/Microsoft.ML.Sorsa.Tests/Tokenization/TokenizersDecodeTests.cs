using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>Every row of every decode.jsonl, and ids that are none.</summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersDecodeTests
{
    public static IEnumerable<object[]> Names => TokenizerCases.Names;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void DecodesAsTheReference(string name)
    {
        TextTokenizer tokenizer = TokenizerCases.Load(name);
        TokenizerCases.NoFaults(TokenizerCases.Rows(name, "decode.jsonl").SelectMany(row => new[]
        {
            TokenizerCases.Compare(
                row.ToString(), TokenizerCases.Text(row, "decoded"), tokenizer.Decode(TokenizerCases.Ids(row), skipSpecialTokens: false)),
            TokenizerCases.Compare(
                row.ToString(), TokenizerCases.Text(row, "decoded_skip_special"),
                tokenizer.Decode(TokenizerCases.Ids(row), skipSpecialTokens: true)),
        }));
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void RefusesIdsOutsideTheVocabulary(string name)
    {
        TextTokenizer tokenizer = TokenizerCases.Load(name);
        foreach (int id in new[] { -1, tokenizer.VocabularySize, int.MaxValue })
        {
            ArgumentOutOfRangeException error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                () => tokenizer.Decode([id], skipSpecialTokens: false));
            Assert.Contains($"ids go from 0 to {tokenizer.VocabularySize - 1}", error.Message);
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => tokenizer.CreateStream().Push(id));
        }
    }
}
