using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tests.Tokenization;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Data;

[TestClass]
[TestCategory("Data")]
[TestCategory("Chat")]
public sealed class PromptEncoderTests
{
    private static readonly TextTokenizer s_tokenizer = TextTokenizer.Load(TestData.TinyLlama);

    [TestMethod]
    public void BosStandsOnceInFrontOfAFormat()
    {
        int bos = s_tokenizer.BosTokenId!.Value;
        Assert.IsTrue(s_tokenizer.AddsBos);
        foreach (PromptTemplate template in (PromptTemplate[])[PromptTemplate.Alpaca, PromptTemplate.Format("{prompt}")])
        {
            int[] ids = new PromptEncoder(s_tokenizer, template).Encode("1 + 1");
            Assert.AreEqual(bos, ids[0]);
            Assert.AreEqual(1, ids.Count(id => id == bos));
        }
    }

    [TestMethod]
    public void ATokenizerThatPutsNoBosGetsNone()
    {
        TextTokenizer plain = TextTokenizer.Load(EditedTokenizer.With(TokenizerFiles.TokenizerConfig, "add_bos_token", "false"));
        Assert.IsFalse(plain.AddsBos);
        CollectionAssert.AreEqual(
            plain.Encode("1 + 1", addSpecialTokens: false), new PromptEncoder(plain, PromptTemplate.Format("{prompt}")).Encode("1 + 1"));
    }

    [TestMethod]
    [DataRow("mistral-instruct-v0.1", 1)]
    [DataRow("chatml", 0)]
    public void AChatTemplateWritesTheBosThatItWantsItself(string template, int expected)
    {
        string text = File.ReadAllText(TestData.Require(TestData.Golden("chat", "templates", template + ".jinja")));
        TokenizerFiles files = EditedTokenizer.Replace(
            TokenizerFiles.FromFolder(TestData.TinyLlama), TokenizerFiles.ChatTemplate, Encoding.UTF8.GetBytes(text));
        TextTokenizer chat = TextTokenizer.Load(files);
        int[] ids = new PromptEncoder(chat, PromptTemplate.Chat).Encode("1 + 1");

        Assert.IsTrue(chat.AddsBos);
        Assert.AreEqual(expected, ids.Count(id => id == chat.BosTokenId));
        Assert.AreEqual(expected == 1, ids[0] == chat.BosTokenId);
    }

    [TestMethod]
    public void WithoutAChatTemplateChatIsRefusedBeforeAnyRow()
    {
        TokenizerFiles files = TokenizerFiles.FromFolder(TestData.TinyLlama);
        TextTokenizer tokenizer = TextTokenizer.Load(files);
        Assert.IsNull(tokenizer.ChatTemplateText);
        Assert.Contains(
            "PromptTemplate.Chat needs",
            Assert.ThrowsExactly<ArgumentException>(() => new PromptEncoder(tokenizer, PromptTemplate.Chat)).Message);
    }

    [TestMethod]
    public void TheAuthorsTrainingRowsAreEncodedAsTheyEncodeThem()
    {
        // Their text has the BOS written out, and they tokenise it without adding special tokens. The tokenizer is as it was then: later
        // files of it (mistral-v1) put no space in front of a text behind a written BOS.
        TextTokenizer tokenizer = TextTokenizer.Load(TestData.Require(TestData.Tokenizers("mistral-v1-legacy")));
        var prompts = new PromptEncoder(tokenizer, PromptTemplate.Alpaca, 512);
        var encoder = new ExampleEncoder(prompts, tokenizer.EosTokenId!.Value, 512, 4096);
        foreach (string line in File.ReadLines(TestData.Require(TestData.Golden("graders", "prompts.jsonl"))))
        {
            using JsonDocument row = JsonDocument.Parse(line);
            string Field(string name) => row.RootElement.GetProperty(name).GetString()!;
            if (Field("kind") == "authors_train")
            {
                SupervisedExample example = encoder.Encode(
                    [(Field("question"), Field("response"))], "data", CancellationToken.None).Examples.Single();
                int[] query = tokenizer.Encode(Field("query_text"), addSpecialTokens: false);

                // "</s>" behind the text is a token of its own, so the text's own tokens are not touched by it.
                int[] target = tokenizer.Encode(Field("target_text"), addSpecialTokens: false);
                CollectionAssert.AreEqual(query, example.Ids[..example.PromptLength]);
                CollectionAssert.AreEqual(target, example.Ids[example.PromptLength..]);
            }
        }
    }
}
