using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Generation;

/// <summary>Decoding with tiny random models of every kind, on ids.</summary>
[TestClass]
[TestCategory("Generation")]
[TestCategory("Numeric")]
public sealed class GenerationDecodingTests
{
    private const int Batch = 3;

    private static readonly int[] Lengths = [5, 1, 8, 3, 5, 2, 7];

    private static readonly GenerationOptions Sampled = new()
    {
        MaxNewTokens = 9,
        Temperature = 1.3,
        TopK = 20,
        TopP = 0.95,
        RepetitionPenalty = 1.1,
        Seed = 7,
        BatchSize = Batch
    };

    public static IEnumerable<object[]> Folders => TestData.Rows(TestData.Golden("models"), "*");

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void GreedyEqualsTheFullForwardAndTheBatchEqualsTheRowsAlone(string folder)
    {
        using CausalLM model = Load(folder);
        int[][] prompts = Prompts(model);
        GenerationOptions greedy = new() { MaxNewTokens = 9, BatchSize = Batch };

        int[][] batch = Generate(model, greedy, prompts);

        for (int i = 0; i < prompts.Length; i++)
        {
            CollectionAssert.AreEqual(FullForward(model, prompts[i], batch[i]), batch[i], $"prompt {i}");
            CollectionAssert.AreEqual(batch[i], Generate(model, greedy, [prompts[i]])[0], $"prompt {i}");
        }
    }

    /// <summary>
    /// A row that has used up the positions stays in the batch; dynamic RoPE must not turn the others by where it would be.
    /// </summary>
    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void AFinishedRowChangesNoOther(string folder)
    {
        using CausalLM model = Load(folder);
        GenerationOptions greedy = new() { MaxNewTokens = 28, BatchSize = Batch };
        int[][] prompts = [Prompt(20), Prompt(3), Prompt(2)];
        int[] Prompt(int length) => [.. Enumerable.Range(1, length).Select(i => (i * 7) % model.Spec.VocabularySize)];

        int[][] batch = Generate(model, greedy, prompts);

        for (int i = 0; i < prompts.Length; i++)
        {
            CollectionAssert.AreEqual(Generate(model, greedy, [prompts[i]])[0], batch[i], $"prompt {i}");
        }
    }

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void ASampledTextIsTheSameInAnyBatch(string folder)
    {
        using CausalLM model = Load(folder);
        int[][] prompts = Prompts(model);

        int[][] batch = Generate(model, Sampled, prompts);

        int[][] reversed = Generate(model, Sampled with { BatchSize = 5 }, [.. prompts.Reverse()]);
        for (int i = 0; i < prompts.Length; i++)
        {
            CollectionAssert.AreEqual(batch[i], Generate(model, Sampled, [prompts[i]])[0], $"prompt {i}");
            CollectionAssert.AreEqual(batch[i], reversed[prompts.Length - 1 - i], $"prompt {i}");
        }

        Assert.IsTrue(batch.Zip(Generate(model, Sampled with { Seed = 8 }, prompts)).Any(pair => !pair.First.SequenceEqual(pair.Second)));
    }

    [TestMethod]
    public void RowsStopOnTheirOwn()
    {
        using CausalLM model = LoadAny();
        int[][] prompts = Prompts(model);
        int[][] unstopped = Generate(model, new() { MaxNewTokens = 9 }, prompts);
        int end = unstopped[0][3];
        string[] stop = [string.Concat(unstopped[1].Skip(2).Take(2).Select(Letter))];

        GenerationRow[] rows = Rows(model, new() { MaxNewTokens = 9, StopStrings = stop }, prompts, [end]);

        for (int i = 0; i < prompts.Length; i++)
        {
            // What ends first: the end token, the stop string in the text before it, or the number of tokens.
            int ended = Array.IndexOf(unstopped[i], end);
            string text = string.Concat((ended < 0 ? unstopped[i] : unstopped[i][..ended]).Select(Letter));
            int stopped = text.IndexOf(stop[0], StringComparison.Ordinal);
            Assert.AreEqual(stopped >= 0 ? text[..stopped] : text, rows[i].Text!.Take(), $"prompt {i}");
            Assert.AreEqual(stopped >= 0 ? StopReason.StopString : ended >= 0 ? StopReason.EndToken : StopReason.Length, rows[i].Stopped);
            CollectionAssert.AreEqual(
                unstopped[i].Take(stopped >= 0 ? stopped + 2 : ended >= 0 ? ended + 1 : 9).ToArray(), rows[i].NewIds.ToArray());
        }

        Assert.AreEqual(StopReason.EndToken, rows[0].Stopped);
        Assert.AreEqual(StopReason.StopString, rows[1].Stopped);
    }

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void ATextEndsWhereThePositionsEnd(string folder)
    {
        using CausalLM model = Load(folder);
        int positions = model.Spec.MaxPositions;
        int[] Prompt(int length) => [.. Enumerable.Range(0, length).Select(i => i % model.Spec.VocabularySize)];

        GenerationRow[] rows = Rows(model, new(), [Prompt(positions - 1), Prompt(positions - 3)], []);

        Assert.HasCount(1, rows[0].NewIds);
        Assert.HasCount(3, rows[1].NewIds);
        Assert.IsTrue(rows.All(row => row.Stopped == StopReason.Length));
        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(() => Rows(model, new(), [Prompt(3), Prompt(positions)], []));
        Assert.StartsWith(
            $"Prompt 1 has {positions} tokens; the model has {positions} positions, so that at most {positions - 1} leave room",
            error.Message);
    }

    [TestMethod]
    public void PromptsThatCannotBeDecodedAreRefused()
    {
        using CausalLM model = LoadAny();
        int vocabulary = model.Spec.VocabularySize;

        Assert.StartsWith("Prompt 0 has 0 tokens", Assert.ThrowsExactly<ArgumentException>(() => Rows(model, new(), [[]], [])).Message);
        foreach (int id in new[] { -1, vocabulary })
        {
            string message = Assert.ThrowsExactly<ArgumentException>(() => Rows(model, new(), [[1], [2, id]], [])).Message;
            Assert.StartsWith($"Prompt 1 has the token id {id}; the model's ids are 0 to {vocabulary - 1}.", message);
        }

        Assert.IsEmpty(Rows(model, new(), [], []));
    }

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void AStepCopiesNothingOfThePast(string folder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using CausalLM model = Load(folder);
        using DecodingBatch batch = new(model, 5);
        IPromptReading prompts = batch.Begin(Prompts(model)[..Batch]);
        prompts.Read(int.MaxValue);
        batch.Join(prompts);
        (Tensor Keys, Tensor Values)[] before = [.. Enumerable.Range(0, model.Spec.LayerCount)
            .Select(layer => PastOf(model.Spec, batch.Cache, layer))];
        Tensor[] keptKeys = [.. before.Select(past => past.Keys.clone())], keptValues = [.. before.Select(past => past.Values.clone())];

        for (int step = 0; step < 5; step++)
        {
            batch.Next([1, 2, 3]);
        }

        for (int layer = 0; layer < before.Length; layer++)
        {
            (Tensor Keys, Tensor Values) after = PastOf(model.Spec, batch.Cache, layer);
            Assert.AreEqual(before[layer].Keys.shape[2] + 5, after.Keys.shape[2]);
            Assert.IsTrue(keptKeys[layer].eq(before[layer].Keys).all().item<bool>(), "a step changed the past");
            Assert.IsTrue(keptValues[layer].eq(before[layer].Values).all().item<bool>(), "a step changed the past");

            // What is written through the view of the first step is read through that of the last: both are the same memory.
            before[layer].Keys.fill_(123);
            before[layer].Values.fill_(321);
            Assert.IsTrue(after.Keys.narrow(2, 0, before[layer].Keys.shape[2]).eq(123).all().item<bool>());
            Assert.IsTrue(after.Values.narrow(2, 0, before[layer].Keys.shape[2]).eq(321).all().item<bool>());
        }
    }

    [TestMethod]
    public void NoTensorOutlivesAGeneration()
    {
        using CausalLM model = LoadAny();
        Rows(model, Sampled, Prompts(model), []);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        Rows(model, Sampled, Prompts(model), []);
        TokenGenerator generator = new(new CachedModel(model), Sampled, []);
        _ = generator.Steps([generator.CreateRow([1, 2], 0)], CancellationToken.None).First();

        Assert.AreEqual(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [TestMethod]
    public void BetweenTwoStepsTheCallerHasItsOwnScopesAndGradientMode()
    {
        using CausalLM model = LoadAny();
        TokenGenerator generator = new(new CachedModel(model), new() { MaxNewTokens = 4 }, []);
        GenerationRow row = generator.CreateRow([1, 2, 3], 0);

        foreach (GenerationRow[] _ in generator.Steps([row], CancellationToken.None))
        {
            using var scope = NewDisposeScope();
            Assert.IsTrue(is_grad_enabled());
            ones(1).OnDevice();
        }

        CollectionAssert.AreEqual(Generate(model, new() { MaxNewTokens = 4 }, [[1, 2, 3]])[0], row.NewIds.ToArray());
    }

    [TestMethod]
    public void CancellingEndsItBetweenTwoTokens()
    {
        using CausalLM model = LoadAny();
        TokenGenerator generator = new(new CachedModel(model), new() { MaxNewTokens = 9 }, []);
        using CancellationTokenSource source = new();
        GenerationRow row = generator.CreateRow([1, 2, 3], 0);

        Assert.ThrowsExactly<OperationCanceledException>(() =>
        {
            foreach (GenerationRow[] _ in generator.Steps([row], source.Token))
            {
                if (row.NewIds.Count == 2)
                {
                    source.Cancel();
                }
            }
        });

        Assert.HasCount(2, row.NewIds);
        Assert.ThrowsExactly<OperationCanceledException>(() => generator.Complete([generator.CreateRow([1], 0)], source.Token));
    }

    private static CausalLM Load(string folder) => CausalLM.Load(TestData.Require(folder), ScalarType.Float32, TestDevice.Current);

    private static CausalLM LoadAny() => Load(TestData.TinyLlama);

    private static int[][] Prompts(CausalLM model) =>
        [.. Lengths.Select(
            (length, row) => Enumerable.Range(0, length).Select(i => ((i * 7) + (row * 13) + 3) % model.Spec.VocabularySize).ToArray())];

    private static char Letter(int id) => (char)('a' + id);

    private static GenerationRow[] Rows(CausalLM model, GenerationOptions options, int[][] prompts, int[] endTokens)
    {
        TokenGenerator generator = new(new CachedModel(model), options, endTokens);
        GenerationRow[] rows = [.. prompts.Select((prompt, i) =>
            generator.CreateRow(prompt, i, new GeneratedText(id => Letter(id).ToString(), () => "", options.StopStrings)))];
        generator.Complete(rows, CancellationToken.None);
        return rows;
    }

    private static int[][] Generate(CausalLM model, GenerationOptions options, int[][] prompts) =>
        [.. Rows(model, options, prompts, []).Select(row => row.NewIds.ToArray())];

    /// <summary>
    /// What follows each token of a text but the last, by one forward pass without cache, batch or padding; without the prompt's part.
    /// </summary>
    private static int[] FullForward(CausalLM model, int[] prompt, int[] newIds)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        long[] text = [.. prompt, .. newIds[..^1]];
        Tensor logits = model.Logits(model.Forward(model.Embed(tensor(text).OnDevice().unsqueeze(0))));
        return [.. logits[0].argmax(dim: -1).cpu().data<long>().Skip(prompt.Length - 1).Select(id => (int)id)];
    }

    /// <summary>The views that attention gets: what a layer's cache gives when no token is appended.</summary>
    private static (Tensor Keys, Tensor Values) PastOf(DecoderSpec spec, KVCache cache, int layer)
    {
        Tensor nothing = empty(Batch, spec.Attention.KeyValueHeadCount, 0, spec.Attention.HeadDim).OnDevice();
        return cache.Append(layer, nothing, nothing);
    }
}
