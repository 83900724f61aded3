using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>Decoding without a cache: with the same weights the texts are those of the decoder of ours.</summary>
[TestClass]
[TestCategory("ForeignModels")]
[TestCategory("Generation")]
public sealed class ForeignModelsGenerationTests
{
    private static readonly int[][] Prompts = [[5, 6, 7], [9], [1, 30, 31, 32, 33, 34, 35, 36, 37], [100, 200, 300], [1]];

    private static readonly GenerationOptions Greedy = new() { MaxNewTokens = 12, BatchSize = 3 };

    public static IEnumerable<object[]> Names => LookAlikes.Names;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void TheTokensAreThoseOfOurDecoder(string name)
    {
        using CausalLM ours = CausalLM.Load(TestData.TinyLlama, ScalarType.Float32, CPU);
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> theirs = LookAlikes.Load(name, TestData.TinyLlama);
        int[][] expected = Generate(new CachedModel(ours), Greedy, []);
        int[] ends = [expected[0][3], expected[2][5]];

        ForeignModel model = ForeignModel.Bind(theirs);

        Equal(expected, Generate(model, Greedy, []));
        Equal(Generate(new CachedModel(ours), Greedy, ends), Generate(model, Greedy, ends));
        Equal(expected, Generate(model, Greedy with { BatchSize = 1 }, []));
    }

    /// <summary>Its own positions are not known.</summary>
    [TestMethod]
    public void ATextIsAsLongAsIsAskedFor()
    {
        using nn.Module<Tensor, Tensor> plain = Plain();

        Assert.HasCount(300, Generate(ForeignModel.Bind(plain, Successor), new() { MaxNewTokens = 300 }, [], [3])[0]);
    }

    /// <summary>A module is in training when it is made: its dropout must not get into answers, and its user finds it as it was.</summary>
    [TestMethod]
    public void AnAnswerIsGivenInEvaluation()
    {
        using nn.Module<Tensor, Tensor> plain = Plain();
        List<bool> training = [];
        ForeignModel model = ForeignModel.Bind(plain, ids =>
        {
            training.Add(plain.training);
            return Successor(ids);
        });
        plain.train();
        training.Clear();

        Generate(model, new() { MaxNewTokens = 3 }, [], [3, 4]);

        Assert.HasCount(3, training);
        Assert.IsFalse(training.Any(on => on));
        Assert.IsTrue(plain.training);
    }

    [TestMethod]
    public void ARowThatIsFinishedIsNotReadAgain()
    {
        using nn.Module<Tensor, Tensor> plain = Plain();
        List<string> read = [];
        ForeignModel model = ForeignModel.Bind(plain, ids =>
        {
            read.Add(string.Join(" ", ids.data<long>()));
            return Successor(ids);
        });
        read.Clear();

        int[][] texts = Generate(model, new() { MaxNewTokens = 3 }, [8], [3, 4], [6, 7]);

        Equal([[5, 6, 7], [8]], texts);
        CollectionAssert.AreEqual((string[])["3 4", "6 7", "3 4 5", "3 4 5 6"], read);
    }

    [TestMethod]
    public void NothingOfAGenerationIsLeft()
    {
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> theirs = LookAlikes.Load("mistral", TestData.TinyLlama);
        ForeignModel model = ForeignModel.Bind(theirs);
        Generate(model, Greedy, []);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        Generate(model, Greedy, []);
        TokenGenerator generator = new(model, Greedy, []);
        foreach (GenerationRow[] _ in generator.Steps([generator.CreateRow([1, 2], 0)], CancellationToken.None))
        {
            Assert.IsTrue(is_grad_enabled());
        }

        Assert.AreEqual(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [TestMethod]
    public void AnIdThatTheModelDoesNotHaveIsRefused()
    {
        using nn.Module<Tensor, Tensor> plain = Plain();

        string message = Assert.ThrowsExactly<ArgumentException>(() => Generate(ForeignModel.Bind(plain), Greedy, [], [11])).Message;

        Assert.StartsWith("Prompt 0 has the token id 11; the model's ids are 0 to 10.", message);
    }

    private static nn.Module<Tensor, Tensor> Plain() => nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 11));

    /// <summary>The most likely token is the one after the last, of eleven.</summary>
    private static Tensor Successor(Tensor ids) => nn.functional.one_hot((ids + 1).remainder(11), 11).to(ScalarType.BFloat16);

    private static int[][] Generate(ILanguageModel model, GenerationOptions options, int[] endTokens, params int[][] prompts)
    {
        TokenGenerator generator = new(model, options, endTokens);
        GenerationRow[] rows = [.. (prompts.Length > 0 ? prompts : Prompts).Select((prompt, i) => generator.CreateRow(prompt, i))];
        generator.Complete(rows, CancellationToken.None);
        return [.. rows.Select(row => row.NewIds.ToArray())];
    }

    private static void Equal(int[][] expected, int[][] texts)
    {
        Assert.HasCount(expected.Length, texts);
        foreach ((int[] ids, int[] text) in expected.Zip(texts))
        {
            CollectionAssert.AreEqual(ids, text);
        }
    }
}
