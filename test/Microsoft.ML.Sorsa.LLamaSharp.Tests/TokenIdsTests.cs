using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;

/// <summary>llama.cpp gives a text the ids that the model's tokenizer gives it.</summary>
[TestClass]
[TestCategory("Gguf")]
public sealed class TokenIdsTests
{
    private const string ByteLevel = """{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}""";

    private static readonly bool[] s_flags = [true, false];
    private static readonly string[] s_json = ["tokenizer.json", "tokenizer_config.json"];

    private static readonly SearchValues<string> s_specialOfMistral =
        SearchValues.Create(["<s>", "</s>", "<unk>"], StringComparison.Ordinal);

    /// <summary>
    /// SmolLM2 has no token for these bytes. Both leave them out: Hugging Face's tokenizers before merges, so that what stood beside one
    /// is merged, and llama.cpp after them. docs/gguf.md says so.
    /// </summary>
    private static readonly SearchValues<char> s_withoutToken = SearchValues.Create("\u0004\u0006\u0013\u0014\u0016\u001D");

    [TestMethod]
    public void TheBundledModel() => Compare(TestData.TinyLlama, Cases("smollm2"));

    [TestMethod]
    public void SmolLM2()
    {
        ILookup<bool, string> texts = Cases("smollm2").ToLookup(text => text.AsSpan().ContainsAny(s_withoutToken));

        Compare(TestData.Require(TestData.SmolLM2), texts[false]);
        Assert.IsGreaterThan(0, texts[true].Count());
    }

    [TestMethod]
    public void Llama3() => CompareTokenizer("llama3", s_json, 128256);

    /// <summary>Its tiktoken file alone, whose merges are no list.</summary>
    [TestMethod]
    public void Llama3Tiktoken() => CompareTokenizer("llama3", ["tokenizer.model", "tokenizer_config.json"], 128256);

    [TestMethod]
    public void MistralTokenizerJson() => CompareTokenizer("mistral-v1-legacy", s_json, 32000);

    [TestMethod]
    public void MistralSentencePiece() => CompareTokenizer("mistral-v1-legacy", ["tokenizer.model", "tokenizer_config.json"], 32000);

    /// <summary>
    /// Where tokenizer.json puts a blank in front of the first word only (Metaspace "first"), llama.cpp differs in texts that begin with
    /// one and behind special tokens, and a warning says so. All others have the same ids.
    /// </summary>
    [TestMethod]
    public void MistralMetaspace()
    {
        using var folder = new TemporaryFolder();
        ModelFolders.WithTokenizer(TestData.Tokenizers("mistral-v1"), s_json, 32000, folder.Path);

        Compare(folder.Path, Cases("mistral-v1").Where(text =>
            !text.StartsWith(' ') && !text.StartsWith('▁') && !text.AsSpan().ContainsAny(s_specialOfMistral)));
    }

    /// <summary>A vocabulary that no hash knows, cut as a known tokenizer cuts.</summary>
    [TestMethod]
    [DataRow(ByteLevel, false, "gpt-2")]
    [DataRow(SplitPattern.Qwen2, false, "qwen2")]
    [DataRow(SplitPattern.Llama3, false, "smaug-bpe")]
    [DataRow(SplitPattern.Llama3, true, "llama-bpe")]
    public void AVocabularyOfItsOwn(string preTokenizer, bool ignoreMerges, string name)
    {
        using var folder = new TemporaryFolder();
        ModelFolders.WithTokenizer(TestData.Require(TestData.SmolLM2), s_json, 49152, folder.Path, json =>
        {
            json["model"]!["ignore_merges"] = ignoreMerges;
            json["pre_tokenizer"] = preTokenizer.StartsWith('{') ? JsonNode.Parse(preTokenizer) : new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject
                    {
                        ["type"] = "Split",
                        ["pattern"] = new JsonObject { ["Regex"] = preTokenizer },
                        ["behavior"] = "Isolated",
                        ["invert"] = false,
                    },
                    JsonNode.Parse(ByteLevel.Replace("\"use_regex\": true", "\"use_regex\": false", StringComparison.Ordinal))),
            };
        });

        string used = Compare(folder.Path, Cases("smollm2").Where(text => !text.AsSpan().ContainsAny(s_withoutToken)));

        Assert.AreEqual(name, used);
    }

    /// <summary>Rows that no token has, as models have whose sizes are round.</summary>
    [TestMethod]
    public void MoreRowsThanTokens() => CompareTokenizer("mistral-v1-legacy", s_json, 32064);

    private static void CompareTokenizer(string name, string[] files, int rows)
    {
        using var folder = new TemporaryFolder();
        Compare(ModelFolders.WithTokenizer(TestData.Tokenizers(name), files, rows, folder.Path), Cases(name));
    }

    /// <returns>The name of the pre-tokenizer in the file.</returns>
    private static string Compare(string folder, IEnumerable<string> cases)
    {
        using var temporary = new TemporaryFolder();
        using OwnModel own = OwnModel.Load(folder);
        own.Transformer.SaveGguf(temporary.File("model.gguf"), GgufType.Q8_0);
        using var client = new LlamaClient(temporary.File("model.gguf"));
        string[] texts = [.. cases];
        Assert.IsGreaterThanOrEqualTo(200, texts.Length);

        string[] differences =
        [
            .. from text in texts
               from add in s_flags
               from parse in s_flags
               let ours = own.Tokenize(text, add, parse)
               let theirs = client.Tokenize(text, add, parse)
               where !ours.SequenceEqual(theirs)
               select $"{JsonSerializer.Serialize(text)} ({add}, {parse}): {string.Join(' ', ours)} <> {string.Join(' ', theirs)}",
        ];
        Assert.IsEmpty(differences, $"{differences.Length}: " + string.Join(Environment.NewLine, differences.Take(20)));
        return client.Weights.Metadata["tokenizer.ggml.pre"];
    }

    private static IReadOnlyList<string> Cases(string tokenizer) =>
    [
        .. File.ReadLines(TestData.Require(Path.Combine(TestData.Tokenizers(tokenizer), "cases.jsonl"))).Select(line =>
        {
            using JsonDocument row = JsonDocument.Parse(line);
            return row.RootElement.GetProperty("text").GetString()!;
        }).Distinct(StringComparer.Ordinal),
    ];
}
