using System.Text;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>What comes from tokenizer_config.json, special_tokens_map.json and chat_template.jinja.</summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersSettingsTests
{
    [TestMethod]
    [DataRow("tiny-llama-math", 1024, 1, 2, 3, true)]
    [DataRow("smollm2", 49152, 1, 2, 2, false)]
    [DataRow("llama3", 128256, 128000, 128009, null, true)]
    [DataRow("mistral-v1", 32000, 1, 2, null, true)]
    [DataRow("mistral-v1-legacy", 32000, 1, 2, null, true)]
    public void KnowsSizeAndSpecialTokens(string name, int size, int bos, int eos, int? pad, bool addsBos)
    {
        TextTokenizer tokenizer = TokenizerCases.Load(name);
        Assert.AreEqual(size, tokenizer.VocabularySize);
        Assert.AreEqual(bos, tokenizer.BosTokenId);
        Assert.AreEqual(eos, tokenizer.EosTokenId);
        Assert.AreEqual(pad, tokenizer.PadTokenId);
        Assert.AreEqual(addsBos, tokenizer.AddsBos);
        foreach ((string token, int id) in new[] { (tokenizer.BosToken!, bos), (tokenizer.EosToken!, eos) })
        {
            CollectionAssert.AreEqual(new[] { id }, tokenizer.Encode(token, addSpecialTokens: false));
            Assert.AreEqual("", tokenizer.Decode([id], skipSpecialTokens: true));
        }

        Assert.AreEqual("a", tokenizer.Decode(tokenizer.Encode("a", addSpecialTokens: false), skipSpecialTokens: true));
    }

    [TestMethod]
    public void ReadsTheSpecialTokensMapWhereTheConfigIsSilent()
    {
        TokenizerFiles files = EditedTokenizer.With(
            TokenizerFiles.SpecialTokensMap, ("bos_token", """{"content":"<pad>"}"""), ("eos_token", "\"<s>\""));
        TextTokenizer tokenizer = TextTokenizer.Load(EditedTokenizer.Replace(
            files, TokenizerFiles.TokenizerConfig, Encoding.UTF8.GetBytes("""{"eos_token":null}""")));
        Assert.AreEqual(3, tokenizer.BosTokenId);
        Assert.AreEqual(1, tokenizer.EosTokenId);
        Assert.IsFalse(tokenizer.AddsBos, "the file puts <s> in front, which is not the first token named here");
    }

    [TestMethod]
    public void NamesNoSpecialTokensWhereNoFileDoes()
    {
        TokenizerFiles files = EditedTokenizer.Replace(TokenizerFiles.FromFolder(TestData.TinyLlama), TokenizerFiles.TokenizerConfig, null);
        TextTokenizer tokenizer = TextTokenizer.Load(EditedTokenizer.Replace(files, TokenizerFiles.SpecialTokensMap, null));
        Assert.IsNull(tokenizer.BosTokenId);
        Assert.IsNull(tokenizer.EosTokenId);
        Assert.IsNull(tokenizer.PadTokenId);
        Assert.IsFalse(tokenizer.AddsBos);
    }

    [TestMethod]
    [DataRow(null, null, null)]
    [DataRow("\"{{ messages }}\"", "{{ messages }}", null)]
    [DataRow("""[{"name":"tool_use","template":"a"},{"name":"default","template":"b"}]""", "b", "a")]
    [DataRow("""[{"name":"default","template":"b"},{"name":"rag","template":"c"}]""", "b", null)]
    [DataRow("""[{"name":"default","template":"b"},{"name":"tool_use","template":"c"},{"name":"tool_use","template":"d"}]""", "b", "d")]
    [DataRow("""[{"name":"tool_use","template":"a"}]""", null, "a")]
    public void FindsTheChatTemplates(string? json, string? expected, string? forTools)
    {
        TokenizerFiles files = EditedTokenizer.With(TokenizerFiles.TokenizerConfig, "chat_template", json ?? "null");
        TextTokenizer tokenizer = TextTokenizer.Load(files);
        Assert.AreEqual((expected, forTools), (tokenizer.ChatTemplateText, tokenizer.ToolTemplateText));
    }

    [TestMethod]
    public void TakesTheTemplatesOwnFileFirst()
    {
        TokenizerFiles files = EditedTokenizer.With(TokenizerFiles.TokenizerConfig, "chat_template", "\"a\"");
        files = EditedTokenizer.Replace(files, TokenizerFiles.ChatTemplate, Encoding.UTF8.GetBytes("é\n"));
        Assert.AreEqual("é\n", TextTokenizer.Load(files).ChatTemplateText);
        files = EditedTokenizer.With(
            TokenizerFiles.TokenizerConfig, "chat_template", """[{"name":"default","template":"a"},{"name":"tool_use","template":"b"}]""");
        Assert.IsNull(TextTokenizer.Load(EditedTokenizer.Replace(files, TokenizerFiles.ChatTemplate, "c"u8.ToArray())).ToolTemplateText);
    }

    [TestMethod]
    [DataRow(null, null, true, false)]
    [DataRow("false", null, false, false)]
    [DataRow("true", "true", true, true)]
    public void AddsWhatTheConfigSaysToAModelFile(string? addBos, string? addEos, bool bos, bool eos)
    {
        TokenizerFiles files = TokenizerFiles.FromFolder(TokenizerCases.Folder("mistral-v1"));
        string config = $$"""{"add_bos_token":{{addBos ?? "null"}},"add_eos_token":{{addEos ?? "null"}}}""";
        TextTokenizer tokenizer = TextTokenizer.Load(new TokenizerFiles(
        [
            KeyValuePair.Create(TokenizerFiles.TokenizerModel, files.Find(TokenizerFiles.TokenizerModel)!),
            KeyValuePair.Create(TokenizerFiles.TokenizerConfig, Encoding.UTF8.GetBytes(config)),
        ]));
        int[] plain = tokenizer.Encode("Hello", addSpecialTokens: false);
        int[] expected = [.. bos ? [1] : Array.Empty<int>(), .. plain, .. eos ? [2] : Array.Empty<int>()];
        CollectionAssert.AreEqual(expected, tokenizer.Encode("Hello", addSpecialTokens: true));
        Assert.AreEqual(bos, tokenizer.AddsBos);
    }
}
