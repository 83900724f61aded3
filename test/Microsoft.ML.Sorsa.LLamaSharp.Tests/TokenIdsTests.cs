using System.Buffers;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;

/// <summary>llama.cpp gives a text the ids that the model's tokenizer gives it.</summary>
[TestClass]
[TestCategory("Gguf")]
public sealed class TokenIdsTests
{
    private static readonly bool[] s_flags = [true, false];
    private static readonly string[] s_json = ["tokenizer.json", "tokenizer_config.json"];

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

    /// <summary>Rows that no token has, as models have whose sizes are round.</summary>
    [TestMethod]
    public void MoreRowsThanTokens() => CompareTokenizer("mistral-v1-legacy", s_json, 32064);

    /// <summary>
    /// SmolLM2 has no token for these bytes. Both leave them out: Hugging Face's tokenizers before merges, so that what stood beside one
    /// is merged, and llama.cpp after them. docs/gguf.md says so.
    /// </summary>
    private static readonly SearchValues<char> s_withoutToken = SearchValues.Create("\u0004\u0006\u0013\u0014\u0016\u001D");

    private static void CompareTokenizer(string name, string[] files, int rows)
    {
        using var folder = new TemporaryFolder();
        Compare(ModelFolders.WithTokenizer(TestData.Tokenizers(name), files, rows, folder.Path), Cases(name));
    }

    private static void Compare(string folder, IEnumerable<string> cases)
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
