using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Persistence;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Generation;

/// <summary>Texts with the bundled model.</summary>
[TestClass]
[TestCategory("Generation")]
public sealed class GenerationTextTests
{
    private static readonly string[] Prompts = ["Tom has 3 apples", "", "What is 12 + 7?\n", "Ünïcode 日本 🎈", "a"];

    private static readonly GenerationOptions[] Ways =
    [
        new() { MaxNewTokens = 20, BatchSize = 3 },
        new() { MaxNewTokens = 20, BatchSize = 3, Temperature = 1.5, TopP = 0.98, Seed = 5 },
        new() { MaxNewTokens = 20, BatchSize = 3, Temperature = 1.5, Seed = 6, StopStrings = ["e", "1 ", "\n\n"] },
    ];

    public static IEnumerable<object[]> Options => Ways.Select(way => new object[] { way });

    [TestMethod]
    [DynamicData(nameof(Options))]
    public void ABatchASingleTextAndAStreamAreTheSame(GenerationOptions options)
    {
        using CausalLM model = Load();
        TextGenerator generator = new(new CachedModel(model), Plain(TestData.TinyLlama), options);

        string[] texts = generator.Generate(Prompts);

        for (int i = 0; i < Prompts.Length; i++)
        {
            Assert.AreEqual(texts[i], generator.Generate([Prompts[i]])[0]);
            string[] pieces = [.. generator.Stream(Prompts[i])];
            Assert.AreEqual(texts[i], string.Concat(pieces));
            Assert.DoesNotContain("", pieces);
            Assert.IsFalse(options.StopStrings.Any(stop => texts[i].Contains(stop, StringComparison.Ordinal)));
        }

        Assert.Contains(text => text.Length > 0, texts);
    }

    [TestMethod]
    public void ATextIsItsIdsDecoded()
    {
        using CausalLM model = Load();
        TextTokenizer tokenizer = TextTokenizer.Load(TestData.TinyLlama);
        TokenGenerator ids = new(new CachedModel(model), Ways[1], [tokenizer.EosTokenId!.Value]);
        GenerationRow[] rows = [.. Prompts.Select(
            (prompt, i) => ids.CreateRow(prompt.Length > 0 ? tokenizer.Encode(prompt, true) : [tokenizer.BosTokenId!.Value], i))];
        ids.Complete(rows, CancellationToken.None);

        string[] texts = new TextGenerator(new CachedModel(model), Plain(TestData.TinyLlama), Ways[1]).Generate(Prompts);

        CollectionAssert.AreEqual(rows.Select(row => tokenizer.Decode([.. row.NewIds], skipSpecialTokens: true)).ToArray(), texts);
    }

    [TestMethod]
    public void NoPromptsGiveNoTexts()
    {
        using CausalLM model = Load();

        Assert.IsEmpty(new TextGenerator(new CachedModel(model), Plain(TestData.TinyLlama), new()).Generate([]));
    }

    [TestMethod]
    public void APromptThatIsTooLongIsRefusedBeforeAnythingIsGenerated()
    {
        using CausalLM model = Load();
        TextGenerator generator = new(new CachedModel(model), Plain(TestData.TinyLlama), new());
        string tooLong = string.Concat(Enumerable.Repeat("12 + 7 = ", model.Spec.MaxPositions));

        string message = Assert.ThrowsExactly<ArgumentException>(() => generator.Generate(["a", tooLong])).Message;

        Assert.StartsWith("Prompt 1 has ", message);
        Assert.Contains($"the model has {model.Spec.MaxPositions} positions", message);
        Assert.StartsWith("The prompt has ", Assert.ThrowsExactly<ArgumentException>(() => generator.Stream(tooLong)).Message);
        Assert.StartsWith("The prompt has ", Assert.ThrowsExactly<ArgumentException>(() => generator.Generate([tooLong])).Message);
    }

    [TestMethod]
    public void ATokenizerOfAnotherModelIsRefused()
    {
        using CausalLM model = Load();
        string folder = TestData.Require(TestData.Tokenizers("mistral-v1"));

        string message = Assert.ThrowsExactly<ArgumentException>(() => TextTokenizer.Load(folder, model.Spec.VocabularySize)).Message;

        Assert.Contains($"The tokenizer in '{folder}' has 32000 tokens and the model {model.Spec.VocabularySize}", message);
    }

    [TestMethod]
    public void OptionsThatDoNotFitTogetherAreRefusedAtOnce()
    {
        using CausalLM model = Load();

        Assert.ThrowsExactly<ArgumentException>(
            () => new TextGenerator(new CachedModel(model), Plain(TestData.TinyLlama), new() { TopK = 3 }));
    }

    /// <summary>The prompt itself, without a template.</summary>
    internal static PromptEncoder Plain(string folder) => new(TextTokenizer.Load(folder), PromptTemplate.Format("{prompt}"));

    private static CausalLM Load() => CausalLM.Load(TestData.TinyLlama, ScalarType.Float32, CPU);
}
