using System.Text;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>vocab.json and merges.txt, as the slow tokenizers of GPT-2 and Qwen 2 write them.</summary>
[TestClass]
[TestCategory("Tokenizers")]
public sealed class TokenizersVocabularyAndMergesTests
{
    /// <summary>The same vocabulary as a tokenizer.json with the pattern of the class gives the same ids.</summary>
    [TestMethod]
    [DataRow("GPT2Tokenizer", SplitPattern.Gpt2, "null")]
    [DataRow("Qwen2Tokenizer", SplitPattern.Qwen2, """{"type":"NFC"}""")]
    public void GiveTheIdsOfTheSameTokenizerAsJson(string tokenizerClass, string pattern, string normalizer)
    {
        string regex = JsonValue.Create(pattern).ToJsonString();
        string preTokenizer = $$"""
            {"type":"Sequence","pretokenizers":[
              {"type":"Split","behavior":"Isolated","invert":false,"pattern":{"Regex":{{regex}} } },
              {"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}
            """;
        TextTokenizer expected = TextTokenizer.Load(EditedTokenizer.With(
            TokenizerFiles.TokenizerJson, ("pre_tokenizer", preTokenizer), ("normalizer", normalizer), ("post_processor", "null")));
        TextTokenizer tokenizer = TextTokenizer.Load(Files(tokenizerClass));
        foreach (string text in TokenizerCases.Rows("tiny-llama-math", "cases.jsonl").Select(row => TokenizerCases.Text(row))
            .Concat(["e\u0301te\u0301 I'LL 2024 <s></s>"]))
        {
            CollectionAssert.AreEqual(
                expected.Encode(text, addSpecialTokens: false), tokenizer.Encode(text, addSpecialTokens: false), text);
        }

        Assert.AreEqual(2, tokenizer.EosTokenId);
        Assert.IsFalse(tokenizer.AddsBos);
    }

    [TestMethod]
    [DataRow("RobertaTokenizer", "", "the class 'RobertaTokenizer'")]
    [DataRow("GPT2Tokenizer", ""","add_prefix_space":true""", "add_prefix_space = true")]
    public void OtherClassesAreNamedWithTheWayOut(string tokenizerClass, string more, string message)
    {
        string error = Assert.ThrowsExactly<NotSupportedException>(() => TextTokenizer.Load(Files(tokenizerClass, more))).Message;
        Assert.Contains("tokenizer_config.json, beside vocab.json and merges.txt, has " + message, error);
        Assert.Contains("convert the tokenizer to tokenizer.json", error);
    }

    [TestMethod]
    public void ADamagedLineIsNamed()
    {
        TokenizerFiles files = EditedTokenizer.Replace(
            Files("GPT2Tokenizer"), TokenizerFiles.MergesTxt, Encoding.UTF8.GetBytes("#version: 0.2\n\nzz qq\n"));
        string error = Assert.ThrowsExactly<InvalidDataException>(() => TextTokenizer.Load(files)).Message;
        Assert.StartsWith("merges.txt, line 3 is 'zz qq'", error);
    }

    [TestMethod]
    public void ThePairDecidesNothingBesideTokenizerJson()
    {
        using var folder = new TemporaryFolder();
        foreach (string name in new[] { "vocab.json", "merges.txt", "tokenizer.json" })
        {
            File.WriteAllText(folder.File(name), "{}");
        }

        Assert.AreEqual("tokenizer.json", string.Join(' ', TokenizerFiles.FromFolder(folder.Path).Names));
        File.Delete(folder.File("tokenizer.json"));
        Assert.AreEqual("vocab.json merges.txt", string.Join(' ', TokenizerFiles.FromFolder(folder.Path).Names));
        File.Delete(folder.File("merges.txt"));
        Assert.ThrowsExactly<FileNotFoundException>(() => TokenizerFiles.FromFolder(folder.Path));
    }

    /// <summary>The bundled tokenizer in the two older files; its special tokens in added_tokens.json.</summary>
    private static TokenizerFiles Files(string tokenizerClass, string more = "")
    {
        JsonNode json = JsonNode.Parse(TokenizerFiles.FromFolder(TestData.TinyLlama).Find(TokenizerFiles.TokenizerJson))!;
        JsonNode model = json["model"]!;
        IEnumerable<string> merges = model["merges"]!.AsArray().Select(merge => $"{merge![0]} {merge[1]}");
        JsonObject added = new(json["added_tokens"]!.AsArray()
            .Select(token => KeyValuePair.Create((string)token!["content"]!, (JsonNode?)JsonValue.Create((int)token["id"]!))));
        return new TokenizerFiles(new Dictionary<string, string>
        {
            [TokenizerFiles.VocabJson] = model["vocab"]!.ToJsonString(),
            [TokenizerFiles.MergesTxt] = "#version: 0.2\n" + string.Join("\r\n", merges) + "\n",
            [TokenizerFiles.AddedTokens] = added.ToJsonString(),
            [TokenizerFiles.TokenizerConfig] = $$"""{"tokenizer_class":"{{tokenizerClass}}","eos_token":"</s>"{{more}}}""",
        }.Select(file => KeyValuePair.Create(file.Key, Encoding.UTF8.GetBytes(file.Value))));
    }
}
