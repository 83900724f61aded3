using System.Text;
using LLama;
using LLama.Common;
using LLama.Sampling;
using Microsoft.ML.Sorsa.Data;

namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;

/// <summary>The likeliest continuations in float32 are the same, token by token and as text.</summary>
[TestClass]
[TestCategory("Gguf")]
public sealed class GreedyTests
{
    private const int Tokens = 64;

    [TestMethod]
    [DataRow("Tom has 3 apples. He buys 5 more. How many apples does Tom have?")]
    [DataRow("A ball costs 59 dollars. Nora pays with 88 dollars.")]
    public void TheBundledModel(string prompt) => Compare(TestData.TinyLlama, prompt);

    [TestMethod]
    [DataRow("The capital of France is")]
    [DataRow("<|im_start|>user\nWrite a short story about a robot.<|im_end|>\n<|im_start|>assistant\n")]
    public void SmolLM2(string prompt) => Compare(TestData.Require(TestData.SmolLM2), prompt);

    [TestMethod]
    [DataRow("mistral-headdim")]
    [DataRow("llama3-rope")]
    public void AGoldenModel(string name)
    {
        using var folder = new TemporaryFolder();
        Compare(ModelFolders.Golden(name, folder.Path), "Some words.");
    }

    /// <summary>As docs/gguf.md shows it: LLamaSharp's executor gives the answer that the transformer gives.</summary>
    [TestMethod]
    public async Task AnExecutorAnswersAsTheTransformer()
    {
        using var temporary = new TemporaryFolder();
        using OwnModel own = OwnModel.Load(TestData.TinyLlama);
        own.Transformer.SaveGguf(temporary.File("model.gguf"), GgufType.F32);
        const string Question = "Tom has 3 apples. He buys 5 more. How many apples does Tom have?";
        string prompt = PromptTemplate.Alpaca.Apply(Question, chat: null, bosToken: null, eosToken: null).Text;
        var parameters = new ModelParams(temporary.File("model.gguf")) { ContextSize = 512, Threads = 1, BatchThreads = 1 };
        using LLamaWeights weights = LLamaWeights.LoadFromFile(parameters);
        var inference = new InferenceParams { MaxTokens = 256, SamplingPipeline = new GreedySamplingPipeline() };

        var answer = new StringBuilder();
        await foreach (string piece in new StatelessExecutor(weights, parameters).InferAsync(prompt, inference))
        {
            answer.Append(piece);
        }

        Assert.IsGreaterThan(10, answer.Length);
        Assert.AreEqual(own.Transformer.Generate(Question), answer.ToString());
    }

    private static void Compare(string folder, string prompt)
    {
        using var temporary = new TemporaryFolder();
        using OwnModel own = OwnModel.Load(folder);
        own.Transformer.SaveGguf(temporary.File("model.gguf"), GgufType.F32);
        using var client = new LlamaClient(temporary.File("model.gguf"));
        int[] ids = own.Tokenize(prompt, addSpecial: true, parseSpecial: true);
        CollectionAssert.AreEqual(ids, client.Tokenize(prompt, addSpecial: true, parseSpecial: true));

        int[] ours = own.Continue(ids, Tokens), theirs = client.Continue(ids, Tokens);

        CollectionAssert.AreEqual(ours, theirs);
        Assert.AreEqual(own.Tokenizer.Decode(ours, skipSpecialTokens: true), client.Text(theirs));
    }
}
