using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>
/// Folders that have tokenizer.model alone: SentencePiece gives the ids of mistral-v1-legacy in both Mistral folders, Llama 3's tiktoken
/// file those of its tokenizer.json.
/// </summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersModelFileTests
{
    [TestMethod]
    [DataRow("mistral-v1", "mistral-v1-legacy", true)]
    [DataRow("mistral-v1-legacy", "mistral-v1-legacy", true)]
    [DataRow("mistral-v1", "mistral-v1-legacy", false)]
    [DataRow("llama3", "llama3", true)]
    [DataRow("llama3", "llama3", false)]
    public void GivesTheIdsOf(string folder, string cases, bool withConfig)
    {
        TextTokenizer tokenizer = TokenizerCases.LoadModelFileAlone(folder, withConfig);
        TokenizerCases.NoFaults(TokenizerCases.Rows(cases, "cases.jsonl").SelectMany(row => new[]
        {
            TokenizerCases.Compare(
                TokenizerCases.Text(row),
                TokenizerCases.Ids(row),
                tokenizer.Encode(TokenizerCases.Text(row), row.GetProperty("add_special").GetBoolean())),
            TokenizerCases.Compare(
                "decoded", TokenizerCases.Text(row, "decoded"), tokenizer.Decode(TokenizerCases.Ids(row), skipSpecialTokens: false)),
        }));
    }

    [TestMethod]
    [DataRow("mistral-v1")]
    [DataRow("llama3")]
    public void KnowsItsSpecialTokensAsTokenizerJsonDoes(string name)
    {
        TextTokenizer json = TokenizerCases.Load(name);
        TextTokenizer model = TokenizerCases.LoadModelFileAlone(name, withConfig: true);
        Assert.AreEqual(json.VocabularySize, model.VocabularySize);
        Assert.AreEqual(json.BosTokenId, model.BosTokenId);
        Assert.AreEqual(json.EosTokenId, model.EosTokenId);
        Assert.AreEqual(json.AddsBos, model.AddsBos);
        for (int id = 0; id < json.VocabularySize; id++)
        {
            string token = json.TokenOf(id);
            Assert.AreEqual(token, model.TokenOf(id));
            Assert.AreEqual(json.IsSpecial(id), model.IsSpecial(id), $"token {id}");
            if (json.IsSpecial(id))
            {
                CollectionAssert.AreEqual(new[] { id }, model.Encode(token, addSpecialTokens: false), token);
            }
        }
    }
}
