using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Gguf;
using Microsoft.ML.Sorsa.Tests.Tokenization;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Gguf;

/// <summary>What a file says of its tokenizer. That llama.cpp makes the same ids of it is shown by the tests over LLamaSharp.</summary>
[TestClass]
[TestCategory("Gguf")]
[TestCategory("Tokenizers")]
public sealed class GgufTokenizerTests
{
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;

    [TestMethod]
    public void SmolLM2PutsNoBosInFront()
    {
        TextTokenizer tokenizer = TextTokenizer.Load(TestData.Require(TestData.SmolLM2));
        (Dictionary<string, object> keys, IReadOnlyList<string> differences) = Keys(tokenizer, 49152);

        Assert.IsEmpty(differences);
        Assert.AreEqual("gpt2", keys["tokenizer.ggml.model"]);
        Assert.AreEqual("smollm", keys["tokenizer.ggml.pre"]);
        Assert.IsTrue(PreTokenizerHashes.Names.ContainsKey(PreTokenizerNames.Hash(tokenizer)));
        Assert.AreEqual(false, keys["tokenizer.ggml.add_bos_token"]);
        Assert.AreEqual(false, keys["tokenizer.ggml.add_eos_token"]);
        Assert.AreEqual(1u, keys["tokenizer.ggml.bos_token_id"]);
        Assert.AreEqual(tokenizer.ChatTemplateText, keys["tokenizer.chat_template"]);
        Assert.HasCount(48900, (object[])keys["tokenizer.ggml.merges"]);
        Assert.AreEqual("Ġ t", ((object[])keys["tokenizer.ggml.merges"])[0]);
        object[] types = (object[])keys["tokenizer.ggml.token_type"];
        Assert.AreEqual(Control, types[0]);
        Assert.AreEqual(Normal, types[1000]);
        Assert.IsFalse(keys.ContainsKey("tokenizer.ggml.scores"));
    }

    [TestMethod]
    [DataRow("tokenizer.json")]
    [DataRow("tokenizer.model")]
    public void Llama3IsFoundByItsHash(string file)
    {
        TextTokenizer tokenizer = Of(TestData.Tokenizers("llama3"), file);
        (Dictionary<string, object> keys, _) = Keys(tokenizer, 128256);

        Assert.AreEqual("llama-bpe", PreTokenizerHashes.Names[PreTokenizerNames.Hash(tokenizer)]);
        Assert.AreEqual("llama-bpe", keys["tokenizer.ggml.pre"]);
        Assert.AreEqual(128000u, keys["tokenizer.ggml.bos_token_id"]);
        Assert.AreEqual(true, keys["tokenizer.ggml.add_bos_token"]);
        Assert.AreEqual("<|eot_id|>", ((object[])keys["tokenizer.ggml.tokens"])[128009]);
        Assert.AreEqual(Control, ((object[])keys["tokenizer.ggml.token_type"])[128009]);
    }

    /// <summary>A vocabulary of its own has a hash that nobody knows; it cuts texts as SmolLM2's tokenizer does.</summary>
    [TestMethod]
    public void TheBundledModelIsFoundByItsStages()
    {
        TextTokenizer tokenizer = TextTokenizer.Load(TestData.TinyLlama);
        (Dictionary<string, object> keys, _) = Keys(tokenizer, 1024);

        Assert.IsFalse(PreTokenizerHashes.Names.ContainsKey(PreTokenizerNames.Hash(tokenizer)));
        Assert.AreEqual("smollm", keys["tokenizer.ggml.pre"]);
        Assert.AreEqual(1u, keys["tokenizer.ggml.bos_token_id"]);
        Assert.AreEqual(0u, keys["tokenizer.ggml.unknown_token_id"]);
        Assert.AreEqual(3u, keys["tokenizer.ggml.padding_token_id"]);
        Assert.AreEqual(true, keys["tokenizer.ggml.add_bos_token"]);
        Assert.IsFalse(keys.ContainsKey("tokenizer.chat_template"));
    }

    /// <summary>Under the keys that llama.cpp's own converter (gguf-py) writes.</summary>
    [TestMethod]
    public void ATemplateForToolsStandsBesideTheOther()
    {
        TextTokenizer tokenizer = TextTokenizer.Load(EditedTokenizer.With(
            TokenizerFiles.TokenizerConfig, "chat_template", """[{"name":"tool_use","template":"a"},{"name":"default","template":"b"}]"""));
        (Dictionary<string, object> keys, _) = Keys(tokenizer, 1024);

        Assert.AreEqual("b", keys["tokenizer.chat_template"]);
        Assert.AreEqual("a", keys["tokenizer.chat_template.tool_use"]);
        Assert.AreEqual("tool_use", ((object[])keys["tokenizer.chat_templates"]).Single());
    }

    [TestMethod]
    public void AnUnknownPreTokenizerIsRefusedWithAWayOut()
    {
        TextTokenizer tokenizer = Changed(json => json["pre_tokenizer"]!["pretokenizers"]![0]!["individual_digits"] = false);

        string message = Assert.ThrowsExactly<NotSupportedException>(() => Keys(tokenizer, 96)).Message;

        Assert.Contains(PreTokenizerNames.Hash(tokenizer), message);
        Assert.Contains("give that name as preTokenizer", message);
        Assert.Contains("SaveHuggingFace", message);
        Assert.AreEqual("exaone", Keys(tokenizer, 96, "exaone").Keys["tokenizer.ggml.pre"]);
    }

    /// <summary>
    /// The text that is hashed does not see every difference: SmolLM2's vocabulary has the same ids of it without its first stage.
    /// </summary>
    [TestMethod]
    public void StagesDecideBeforeTheHash()
    {
        using var folder = new TemporaryFolder();
        JsonObject json = JsonNode.Parse(File.ReadAllText(TestData.Require(Path.Combine(TestData.SmolLM2, "tokenizer.json"))))!.AsObject();
        JsonArray stages = json["pre_tokenizer"]!["pretokenizers"]!.AsArray();
        TextTokenizer smol = Load();
        stages[0]!["individual_digits"] = false;
        TextTokenizer runs = Load();
        stages.RemoveAt(0);
        TextTokenizer gpt2 = Load();

        Assert.AreEqual(PreTokenizerNames.Hash(smol), PreTokenizerNames.Hash(gpt2));
        Assert.AreEqual("smollm", PreTokenizerNames.Find(smol));
        Assert.AreEqual("gpt-2", PreTokenizerNames.Find(gpt2));
        Assert.ThrowsExactly<NotSupportedException>(() => PreTokenizerNames.Find(runs));

        TextTokenizer Load()
        {
            File.WriteAllText(folder.File("tokenizer.json"), json.ToJsonString());
            return TextTokenizer.Load(folder.Path);
        }
    }

    [TestMethod]
    public void SentencePieceHasScoresTypesAndBytes()
    {
        TextTokenizer tokenizer = Of(TestData.Tokenizers("mistral-v1-legacy"), "tokenizer.model");
        (Dictionary<string, object> keys, IReadOnlyList<string> differences) = Keys(tokenizer, 32000);

        Assert.IsEmpty(differences);
        Assert.AreEqual("llama", keys["tokenizer.ggml.model"]);
        Assert.AreEqual("default", keys["tokenizer.ggml.pre"]);
        Assert.AreEqual(true, keys["tokenizer.ggml.add_space_prefix"]);
        Assert.AreEqual(true, keys["tokenizer.ggml.add_bos_token"]);
        object[] types = (object[])keys["tokenizer.ggml.token_type"], scores = (object[])keys["tokenizer.ggml.scores"];
        CollectionAssert.AreEqual(new object[] { Unknown, Control, Control, Byte }, types[..4]);
        Assert.AreEqual(Byte, types[258]);
        Assert.AreEqual(Normal, types[259]);
        Assert.AreEqual("<0xFF>", ((object[])keys["tokenizer.ggml.tokens"])[258]);
        CollectionAssert.AreEqual(tokenizer.Pipeline.Scores!.ToArray(), scores.Cast<float>().ToArray());
    }

    /// <summary>Where only the merges are there, the scores are in their order: that of the scores they once were made from.</summary>
    [TestMethod]
    public void ScoresOfMergesHaveTheOrderOfSentencePieces()
    {
        string folder = TestData.Tokenizers("mistral-v1-legacy");
        float[] scores = [.. ((object[])Keys(Of(folder, "tokenizer.json"), 32000).Keys["tokenizer.ggml.scores"]).Cast<float>()];
        TextTokenizer original = Of(folder, "tokenizer.model");

        // Runs of blanks have one score, and any order.
        int[] products =
        [
            .. original.Pipeline.Model.Merges.Products.Distinct().Where(id => original.TokenOf(id).AsSpan().ContainsAnyExcept('▁')),
        ];

        int[] expected = [.. products.OrderByDescending(id => original.Pipeline.Scores![id]).ThenBy(id => id)];
        CollectionAssert.AreEqual(expected, products.OrderByDescending(id => scores[id]).ThenBy(id => id).ToArray());
    }

    [TestMethod]
    public void ThereAreAsManyTokensAsRows()
    {
        TextTokenizer tokenizer = Of(TestData.Tokenizers("mistral-v1-legacy"), "tokenizer.json");
        (Dictionary<string, object> keys, _) = Keys(tokenizer, 32064);

        object[] tokens = (object[])keys["tokenizer.ggml.tokens"];
        Assert.HasCount(32064, tokens);
        Assert.AreEqual("[PAD32063]", tokens[^1]);
        Assert.AreEqual(Unused, ((object[])keys["tokenizer.ggml.token_type"])[^1]);
        Assert.HasCount(32064, (object[])keys["tokenizer.ggml.scores"]);
        Assert.HasCount(64, (object[])Keys(Changed(_ => { }), 64).Keys["tokenizer.ggml.tokens"]);
    }

    [TestMethod]
    public void AnAddedTokenThatIsNotSpecialIsUserDefined()
    {
        TextTokenizer tokenizer = Changed(json => json["added_tokens"]![2]!["special"] = false, """{"bos_token": "<s>"}""");

        Assert.AreEqual(UserDefined, ((object[])Keys(tokenizer, 96).Keys["tokenizer.ggml.token_type"])[2]);
    }

    /// <summary>What llama.cpp does otherwise, in some texts, is told.</summary>
    [TestMethod]
    public void DifferencesAreTold()
    {
        (string Difference, Action<JsonObject> Change)[] cases =
        [
            ("(lstrip, rstrip, single_word): </s>", json => json["added_tokens"]![2]!["lstrip"] = true),
            ("NFC", json => json["normalizer"] = new JsonObject { ["type"] = "NFC" }),
            ("drops bytes", _ => { }),
        ];
        foreach ((string difference, Action<JsonObject> change) in cases)
        {
            Assert.Contains(difference, string.Join("; ", Keys(Changed(change), 96).Differences));
        }

        string first = string.Join("; ", Keys(Of(TestData.Tokenizers("mistral-v1"), "tokenizer.json"), 32000).Differences);
        Assert.Contains("behind special tokens", first);
    }

    [TestMethod]
    public void WhatLlamaCppHasNotIsRefused()
    {
        (string Fault, Action<JsonObject> Change)[] cases =
        [
            ("has a normalizer", json => json["normalizer"] = new JsonObject { ["type"] = "NFKC" }),
            ("begins every text with <unk>, <s>", json => json["post_processor"]!["single"]!.AsArray().Insert(
                0, JsonNode.Parse("""{"SpecialToken": {"id": "<unk>", "type_id": 0}}"""))),
            ("byte_fallback", json => json["pre_tokenizer"] = null),
        ];
        foreach ((string fault, Action<JsonObject> change) in cases)
        {
            TextTokenizer tokenizer = Changed(json =>
            {
                json["post_processor"]!["special_tokens"]!["<unk>"] =
                    JsonNode.Parse("""{"id": "<unk>", "ids": [0], "tokens": ["<unk>"]}""");
                change(json);
            });
            Assert.Contains(fault, Assert.ThrowsExactly<NotSupportedException>(() => Keys(tokenizer, 96)).Message);
        }
    }

    /// <summary>Merges that are no scores: llama.cpp would merge otherwise.</summary>
    [TestMethod]
    public void MergesThatAreNoScoresAreRefused()
    {
        Assert.Contains("'abc' is a token and so are 'a' and 'bc'", Refused(("a", "b"), ("b", "c"), ("ab", "c")));
        Assert.Contains("stand among each other", Refused(("ab", "c"), ("a", "b"), ("b", "c"), ("a", "bc")));
        Assert.IsNotEmpty(Keys(Characters(("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")), 300).Keys);

        static string Refused(params (string Left, string Right)[] merges) =>
            Assert.ThrowsExactly<NotSupportedException>(() => Keys(Characters(merges), 300)).Message;
    }

    [TestMethod]
    public void ANameForSentencePieceIsRefused()
    {
        var error = Assert.ThrowsExactly<ArgumentException>(
            () => Keys(Of(TestData.Tokenizers("mistral-v1"), "tokenizer.json"), 32000, "llama-bpe"));

        Assert.AreEqual("preTokenizer", error.ParamName);
    }

    private static (Dictionary<string, object> Keys, IReadOnlyList<string> Differences) Keys(
        TextTokenizer tokenizer, int rows, string? preTokenizer = null)
    {
        using var folder = new TemporaryFolder();
        var metadata = new GgufMetadata();
        var written = new GgufTokenizer(tokenizer, rows);
        written.Add(metadata, preTokenizer);
        GgufFile.Write(folder.File("tokenizer.gguf"), metadata, []);
        return (GgufContent.Read(folder.File("tokenizer.gguf")).Keys, written.Differences);
    }

    private static TextTokenizer Of(string folder, string file) => TextTokenizer.Load(new TokenizerFiles(
        new[] { file, "tokenizer_config.json" }.Select(name => KeyValuePair.Create(
            name, File.ReadAllBytes(TestData.Require(Path.Combine(folder, name)))))));

    /// <summary>The byte-level tokenizer of 96 tokens, changed.</summary>
    private static TextTokenizer Changed(Action<JsonObject> change, string? config = null)
    {
        using var folder = new TemporaryFolder();
        GgufModels.WriteTokenizer(folder.Path, change);
        if (config is not null)
        {
            File.WriteAllText(folder.File("tokenizer_config.json"), config);
        }

        return TextTokenizer.Load(folder.Path);
    }

    /// <summary>A tokenizer of characters a, b and c with these merges, and all bytes.</summary>
    private static TextTokenizer Characters(params (string Left, string Right)[] merges)
    {
        string[] tokens =
        [
            "<unk>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>"), "▁", "a", "b", "c",
            .. merges.Select(merge => merge.Left + merge.Right).Distinct(),
        ];
        var json = new JsonObject
        {
            ["normalizer"] = JsonNode.Parse("""{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"""),
            ["decoder"] = JsonNode.Parse("""{"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}"""),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["unk_token"] = "<unk>",
                ["byte_fallback"] = true,
                ["vocab"] = new JsonObject(tokens.Select((token, id) => KeyValuePair.Create(token, (JsonNode?)id))),
                ["merges"] = new JsonArray([.. merges.Select(merge => new JsonArray(merge.Left, merge.Right))]),
            },
        };
        return TextTokenizer.Load(new TokenizerFiles(
            [KeyValuePair.Create("tokenizer.json", System.Text.Encoding.UTF8.GetBytes(json.ToJsonString()))]));
    }
}
