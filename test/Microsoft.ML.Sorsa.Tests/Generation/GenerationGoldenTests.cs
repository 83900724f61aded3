using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Generation;

/// <summary>SmolLM2-135M-Instruct in float32 against transformers' texts, logits and log-probabilities.</summary>
[TestClass]
[TestCategory("Generation")]
[TestCategory("Numeric")]
public sealed class GenerationGoldenTests
{
    private const double Tolerance = 1e-3;

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private static readonly Lazy<CausalLM> Model = new(() => CausalLM.Load(TestData.SmolLM2, ScalarType.Float32, TestDevice.Current));

    [ClassCleanup]
    public static void Unload()
    {
        if (Model.IsValueCreated)
        {
            Model.Value.Dispose();
        }
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void ScoresOfEveryStep()
    {
        CausalLM model = Load();
        foreach (Row[] rows in ReadRows().Chunk(8))
        {
            int steps = rows.Max(row => row.NewIds.Length);
            using DecodingBatch batch = new(model, steps - 1);
            for (int step = 0; step < steps; step++)
            {
                // The reference's tokens are fed, so that one wrong token would not hide what follows.
                using var scope = NewDisposeScope();
                Tensor logits = step == 0
                    ? Read(batch, [.. rows.Select(row => row.PromptIds)])
                    : batch.Next([.. rows.Select(row => (long)row.NewIds[Math.Min(step, row.NewIds.Length) - 1])]);
                Tensor logProbabilities = logits.to(ScalarType.Float64).log_softmax(-1);
                for (int i = 0; i < rows.Length; i++)
                {
                    if (step < rows[i].NewIds.Length)
                    {
                        Assert.AreEqual(rows[i].NewIds[step], logits[i].argmax().item<long>(), $"{rows[i].Name}, step {step}");
                        Assert.AreEqual(
                            rows[i].Logprobs[step], logProbabilities[i, rows[i].NewIds[step]].item<double>(), Tolerance,
                            $"{rows[i].Name}, step {step}");
                    }

                    foreach (Top top in step == 0 ? rows[i].FirstTop5 : [])
                    {
                        Assert.AreEqual(top.Logit, logits[i, top.Id].item<float>(), Tolerance, rows[i].Name);
                    }
                }
            }
        }
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void IdsTextsAndReasonsInABatchAndAlone()
    {
        CausalLM model = Load();
        TextTokenizer tokenizer = TextTokenizer.Load(TestData.SmolLM2);
        foreach (IGrouping<int, Row> group in ReadRows().GroupBy(row => row.MaxNewTokens))
        {
            Row[] rows = [.. group];
            GenerationRow[] generated = Generate(model, tokenizer, group.Key, [.. rows.Select(row => row.PromptIds)]);
            for (int i = 0; i < rows.Length; i++)
            {
                CollectionAssert.AreEqual(rows[i].NewIds, generated[i].NewIds.ToArray(), rows[i].Name);
                Assert.AreEqual(rows[i].Text, generated[i].Text!.Take(), rows[i].Name);
                Assert.AreEqual(rows[i].Stopped == "eos" ? StopReason.EndToken : StopReason.Length, generated[i].Stopped, rows[i].Name);
            }

            // Alone the shortest, which is padded most in its batch.
            Row alone = rows.MinBy(row => row.PromptIds.Length)!;
            CollectionAssert.AreEqual(
                alone.NewIds, Generate(model, tokenizer, group.Key, [alone.PromptIds])[0].NewIds.ToArray(), alone.Name);
        }
    }

    [TestMethod]
    public void TextsFromTexts()
    {
        CausalLM model = Load();
        Row[] rows = [.. ReadRows().OrderBy(row => row.NewIds.Length).Take(2)];
        TextGenerator generator = new(
            new CachedModel(model), GenerationTextTests.Plain(TestData.SmolLM2),
            new() { MaxNewTokens = rows.Max(row => row.NewIds.Length) });

        string[] texts = generator.Generate([.. rows.Select(row => row.Prompt)]);

        CollectionAssert.AreEqual(rows.Select(row => row.Text).ToArray(), texts);
        Assert.AreEqual(rows[0].Text, string.Concat(generator.Stream(rows[0].Prompt)));
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void ThePaddedBatch()
    {
        CausalLM model = Load();
        foreach (object[] file in TestData.Rows(TestData.Golden("generation"), "*batch.json"))
        {
            BatchFile golden = JsonSerializer.Deserialize<BatchFile>(File.ReadAllText(TestData.Require((string)file[0])), Json)!;
            int[][] prompts = [.. golden.InputIds.Zip(golden.AttentionMask, (ids, mask) => ids.Where((_, at) => mask[at] == 1).ToArray())];

            GenerationRow[] rows = Generate(model, TextTokenizer.Load(TestData.SmolLM2), golden.MaxNewTokens, prompts);

            for (int i = 0; i < rows.Length; i++)
            {
                CollectionAssert.AreEqual(golden.NewIds[i], rows[i].NewIds.ToArray());
                Assert.AreEqual(golden.Text[i], rows[i].Text!.Take());
            }
        }
    }

    [TestMethod]
    public void PerplexityOfAText()
    {
        CausalLM model = Load();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach (object[] file in TestData.Rows(TestData.Golden("generation"), "*perplexity.json"))
        {
            PerplexityFile golden = JsonSerializer.Deserialize<PerplexityFile>(File.ReadAllText(TestData.Require((string)file[0])), Json)!;
            CollectionAssert.AreEqual(golden.Ids, TextTokenizer.Load(TestData.SmolLM2).Encode(golden.Text, addSpecialTokens: false));
            Tensor ids = tensor(golden.Ids, ScalarType.Int64).OnDevice().unsqueeze(0);

            Tensor logProbabilities = model.Logits(model.Forward(model.Embed(ids))).to(ScalarType.Float64).log_softmax(-1);

            double[] actual = [.. logProbabilities[0]
                .narrow(0, 0, golden.Logprobs.Length)
                .gather(-1, ids[0].narrow(0, 1, golden.Logprobs.Length).unsqueeze(-1))
                .flatten()
                .cpu().data<double>()];
            for (int i = 0; i < actual.Length; i++)
            {
                Assert.AreEqual(golden.Logprobs[i], actual[i], Tolerance);
            }

            Assert.AreEqual(golden.SumLogprob, actual.Sum(), Tolerance);
            Assert.AreEqual(golden.Perplexity, Math.Exp(-actual.Average()), Tolerance);
        }
    }

    private static CausalLM Load()
    {
        TestData.Require(TestData.SmolLM2);
        return Model.Value;
    }

    private static Row[] ReadRows() => [.. TestData.Rows(TestData.Golden("generation"), "*.jsonl")
        .SelectMany(file => File.ReadLines(TestData.Require((string)file[0])))
        .Where(line => line.Length > 0)
        .Select(line => JsonSerializer.Deserialize<Row>(line, Json)!)
        .Where(row => row.PromptIds is not null)];          // other files there have rows of their own

    private static Tensor Read(DecodingBatch batch, int[][] prompts)
    {
        IPromptReading reading = batch.Begin(prompts);
        Tensor scores = reading.Read(int.MaxValue)!;
        batch.Join(reading);
        return scores;
    }

    private static GenerationRow[] Generate(CausalLM model, TextTokenizer tokenizer, int maxNewTokens, int[][] prompts)
    {
        TokenGenerator generator = new(new CachedModel(model), new() { MaxNewTokens = maxNewTokens }, model.Config.EosTokenIds);
        GenerationRow[] rows = [.. prompts.Select((prompt, i) =>
        {
            TextStream stream = tokenizer.CreateStream();
            return generator.CreateRow(prompt, i, new GeneratedText(stream.Push, stream.Flush, []));
        })];
        generator.Complete(rows, CancellationToken.None);
        return rows;
    }

    private sealed record Row(
        string Name, string Prompt, int[] PromptIds, int MaxNewTokens, int[] NewIds, string Stopped, string Text, Top[] FirstTop5,
        double[] Logprobs);

    private sealed record Top(int Id, double Logit);

    private sealed record BatchFile(int[][] InputIds, int[][] AttentionMask, int MaxNewTokens, int[][] NewIds, string[] Text);

    private sealed record PerplexityFile(string Text, int[] Ids, double[] Logprobs, double SumLogprob, double Perplexity);
}
