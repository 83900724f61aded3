using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Data;

/// <summary>
/// The batches of PEFT's MetaMathQA comparison, made here once more, slowly and as its scripts make them: whole texts, a cut, buckets,
/// padding, labels of −100. Nothing of the library but its tokenizer is used for that.
/// </summary>
[TestClass]
[TestCategory("Data")]
public sealed class PeftProtocolTests
{
    private const string Before = "Question: ", Behind = " Think step by step.\nAnswer:";
    private const int Ignored = -100, BatchSize = 4, BucketSize = 80;

    private const string Bundled = "", SmolLM2 = "smollm2", Mistral = "mistral-v1-legacy";

    [TestMethod]
    [DataRow(Bundled, 317, 96)]
    [DataRow(Bundled, 160, 48)]
    [DataRow(Bundled, 79, 1000)]
    [DataRow(Bundled, 5, 60)]
    [DataRow(SmolLM2, 317, 60)]
    [DataRow(Mistral, 317, 60)]
    public void TheBatchesArePeftsIdByIdAndLabelByLabel(string tokenizer, int count, int maxLength)
    {
        TextTokenizer text = Load(tokenizer);
        (string Prompt, string Response)[] rows = Rows(count);
        List<(int[][] Ids, int[][] Labels)> expected = PeftBatches(text, rows, maxLength);

        List<(int[][] Ids, int[][] Labels)> actual =
            [.. Plan(text, rows, maxLength, accumulation: 1).Epoch(0).Select(step => Tensors(step.Single(), text.EosTokenId!.Value))];

        Assert.HasCount(expected.Count, actual);
        for (int batch = 0; batch < expected.Count; batch++)
        {
            AssertEqual(expected[batch].Ids, actual[batch].Ids, $"ids of batch {batch}");
            AssertEqual(expected[batch].Labels, actual[batch].Labels, $"labels of batch {batch}");
        }
    }

    /// <summary>That the comparison says something: borders that a token spans, cuts, ties, ends that are learnt and not.</summary>
    [TestMethod]
    [DataRow(Bundled, 96, 0)]
    [DataRow(SmolLM2, 60, 20)]
    [DataRow(Mistral, 60, 300)]
    public void TheRowsHaveEverythingThatMatters(string tokenizer, int maxLength, int borders)
    {
        TextTokenizer text = Load(tokenizer);
        int eos = text.EosTokenId!.Value;
        (string Prompt, string Response)[] rows = Rows(317);
        List<(int[][] Ids, int[][] Labels)> batches = PeftBatches(text, rows, maxLength);
        int[][] texts = [.. rows.Select(row => Text(text, row, int.MaxValue))];

        Assert.IsGreaterThan(20, texts.Count(ids => ids.Length > maxLength));
        Assert.IsGreaterThanOrEqualTo(borders, texts.Zip(rows).Count(pair => !pair.First.SequenceEqual(
            [.. text.Encode(Before + pair.Second.Prompt + Behind, addSpecialTokens: true),
                .. text.Encode(pair.Second.Response, addSpecialTokens: false)])));
        Assert.IsGreaterThan(20, batches.Sum(batch => batch.Labels.Count(row => row[^1] != Ignored && row[^1] != eos)));
        Assert.IsGreaterThan(20, batches.Sum(batch => batch.Labels.Count(row => row.Contains(eos))));
        Assert.IsGreaterThan(5, batches.Count(batch => batch.Labels.Count(row => row[^1] != Ignored && row[^1] != eos) > 1), "ties");
    }

    /// <summary>Several batches a step: the same batches, and the step where a resume begins is the one that it left.</summary>
    [TestMethod]
    [DataRow(3)]
    [DataRow(7)]
    [DataRow(40)]
    public void AccumulationTakesThemTogetherAndAResumeGoesOn(int accumulation)
    {
        (string Prompt, string Response)[] rows = Rows(203);
        TextTokenizer text = Load(Bundled);
        BatchPlan plan = Plan(text, rows, 96, accumulation);
        List<(int[][] Ids, int[][] Labels)> expected = PeftBatches(text, rows, 96);

        int[][][] epoch = [.. plan.Epoch(3).SelectMany(step => step).Select(batch => Tensors(batch, text.EosTokenId!.Value).Ids)];
        Assert.HasCount(expected.Count, epoch);
        for (int batch = 0; batch < epoch.Length; batch++)
        {
            AssertEqual(expected[batch].Ids, epoch[batch], $"batch {batch}");
        }

        int total = (2 * plan.StepsPerEpoch) + 1;
        string[] steps = [.. plan.Steps(0, total).Select(Name)];
        Assert.AreEqual((expected.Count + accumulation - 1) / accumulation, plan.StepsPerEpoch);
        for (int first = 0; first < total; first++)
        {
            CollectionAssert.AreEqual(steps[first..], plan.Steps(first, total).Select(Name).ToArray());
        }

        static string Name(IReadOnlyList<IReadOnlyList<SupervisedExample>> step) =>
            string.Join('|', step.Select(batch => string.Join('/', batch.Select(row => string.Join(' ', row.Ids)))));
    }

    /// <summary>
    /// Loss and gradient of a step are the sums over its rows, each alone and unpadded, over all labels of the step. PEFT divides by the
    /// tokens that are no padding instead, which are as many and one more for every row without an end.
    /// </summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    public void LossAndGradientAreTheRowsSums(int accumulation)
    {
        using var scope = NewDisposeScope();
        SupervisedExample[] rows =
        [
            .. TinyModel.Rows(12).Select(row => new SupervisedExample([.. row.Ids, 7], 0) { EndsIfPadded = true }),
        ];
        IReadOnlyList<IReadOnlyList<SupervisedExample>> step =
            new BatchPlan(rows, BatchSize, accumulation, seed: 0, RowOrder.SortedBuckets).Epoch(0).First();
        int[][] given = [.. rows.Select(row => row.Ids[..^1]).OrderByDescending(ids => ids.Length).Take(BatchSize * accumulation)];
        (int[] Ids, bool Ends)[] byHand = [.. given.Chunk(BatchSize)
            .SelectMany(batch => batch.Select(ids => (ids, ids.Length < batch.Max(other => other.Length))))];

        var log = new List<SorsaTrainingProgress>();
        using (CausalLM model = TinyModel.Create(ScalarType.Float64))
        {
            TrainingSettings settings = TinyModel.Settings with { MaxGradNorm = null, PadTokenId = 7 };
            new TrainingLoop(model, TinyModel.Adapt(model, gamma: 0), settings)
                .Run([step], 1, null, log.Add, CancellationToken.None);
        }

        using CausalLM plain = TinyModel.Create(ScalarType.Float64);
        AdapterSet adapters = TinyModel.Adapt(plain, gamma: 0);
        double loss = 0;
        int labels = 0;
        foreach ((int[] ids, bool ends) in byHand)
        {
            Tensor text = tensor(ids.Append(7).Select(id => (long)id).ToArray()).OnDevice();
            int count = ids.Length - (ends ? 0 : 1);
            Tensor logits = plain.Logits(plain.Forward(plain.Embed(text.unsqueeze(0))))[0].narrow(0, 0, count);
            Tensor sum = nn.functional.cross_entropy(logits, text.narrow(0, 1, count), reduction: nn.Reduction.Sum);
            sum.backward();
            loss += sum.item<double>();
            labels += count;
        }

        double norm = Math.Sqrt(adapters.Trainable.Sum(
            named => Math.Pow(named.Value.grad!.to(ScalarType.Float64).norm().item<double>(), 2)));
        Assert.AreEqual(loss / labels, log.Single().Loss, 1e-9);
        Assert.AreEqual(norm / labels, log.Single().GradientNorm, 1e-6);
        Assert.AreEqual(byHand.Sum(row => row.Ids.Length) - byHand.Count(row => !row.Ends), labels);
    }

    /// <summary>The library's way from rows to batches, as a trainer with these options goes it.</summary>
    private static BatchPlan Plan(
        TextTokenizer tokenizer, (string Prompt, string Response)[] rows, int maxLength, int accumulation)
    {
        // However the length is shared out between the two: their sum is what counts.
        int forResponses = maxLength / 3;
        var prompts = new PromptEncoder(tokenizer, PromptTemplate.Format(Before + "{prompt}" + Behind), maxLength - forResponses);
        var encoder = new ExampleEncoder(
            prompts, tokenizer.EosTokenId!.Value, forResponses, maxLength, TrainedTokens.All, EndToken.WherePadded);
        return new BatchPlan(
            encoder.Encode(rows, "rows", CancellationToken.None).Examples, BatchSize, accumulation, seed: 1, RowOrder.SortedBuckets);
    }

    private static (int[][] Ids, int[][] Labels) Tensors(IReadOnlyList<SupervisedExample> rows, int padTokenId)
    {
        using var scope = NewDisposeScope();
        using Batch batch = Batch.Of(rows, padTokenId, CPU);
        int width = (int)batch.InputIds.shape[1];
        int[] labels = [.. Enumerable.Repeat(Ignored, rows.Count * width)];
        foreach ((long position, long target) in batch.LabelPositions.data<long>().Zip(batch.Targets.data<long>()))
        {
            labels[position + 1] = (int)target;
        }

        return ([.. batch.InputIds.data<long>().Select(id => (int)id).Chunk(width)], [.. labels.Chunk(width)]);
    }

    private static TextTokenizer Load(string name) =>
        TextTokenizer.Load(TestData.Require(name switch
        {
            Bundled => TestData.TinyLlama,
            SmolLM2 => TestData.SmolLM2,
            _ => TestData.Tokenizers(name),
        }));

    private static int[] Text(TextTokenizer tokenizer, (string Prompt, string Response) row, int maxLength)
    {
        int[] ids = tokenizer.Encode(Before + row.Prompt + Behind + row.Response, addSpecialTokens: true);
        return ids[..Math.Min(ids.Length, maxLength)];
    }

    private static List<(int[][] Ids, int[][] Labels)> PeftBatches(
        TextTokenizer tokenizer, (string Prompt, string Response)[] rows, int maxLength)
    {
        var batches = new List<(int[][] Ids, int[][] Labels)>();
        for (int start = 0; start < rows.Length; start += BucketSize)
        {
            var bucket = new List<int[]>();
            for (int row = start; row < Math.Min(start + BucketSize, rows.Length); row++)
            {
                // Behind all that are at least as long: from long to short, and ties as they came.
                int[] text = Text(tokenizer, rows[row], maxLength);
                int place = bucket.Count;
                while (place > 0 && bucket[place - 1].Length < text.Length)
                {
                    place--;
                }

                bucket.Insert(place, text);
            }

            for (int first = 0; first < bucket.Count; first += BatchSize)
            {
                int[][] texts = [.. bucket.Skip(first).Take(BatchSize)];
                int width = texts[0].Length;
                var ids = new int[texts.Length][];
                var labels = new int[texts.Length][];
                for (int row = 0; row < texts.Length; row++)
                {
                    ids[row] = new int[width];
                    labels[row] = new int[width];
                    for (int t = 0; t < width; t++)
                    {
                        ids[row][t] = t < texts[row].Length ? texts[row][t] : tokenizer.EosTokenId!.Value;

                        // labels[i, num_tokens + 1 :] = -100; the model shifts them, so that the first has nothing to be predicted from.
                        labels[row][t] = t == 0 || t > texts[row].Length ? Ignored : ids[row][t];
                    }
                }

                batches.Add((ids, labels));
            }
        }

        return batches;
    }

    /// <summary>Questions of all lengths, some twice; answers that begin in all ways, some of them very long.</summary>
    private static (string Prompt, string Response)[] Rows(int count)
    {
        string[] words = ["Tom", "apples", "buys", "12", "each", "costs", "$3", "box", "and", "how many", "more", "half", "7.5", "\n", "é"];
        string[] starts = ["", " ", "The ", "12", "\n", "$", "So ", "(", "- "];
        var random = new Random(count);
        return [.. Enumerable.Range(0, count).Select(i => (
            Join(random.Next(1, 14)) + "?",
            starts[random.Next(starts.Length)] + Join(i % 9 == 0 ? 60 : random.Next(1, 12)) + $"\nThe answer is: {i}"))];

        string Join(int length) => string.Join(' ', Enumerable.Range(0, length).Select(_ => words[random.Next(words.Length)]));
    }

    private static void AssertEqual(int[][] expected, int[][] actual, string what)
    {
        Assert.HasCount(expected.Length, actual, what);
        for (int row = 0; row < expected.Length; row++)
        {
            CollectionAssert.AreEqual(expected[row], actual[row], $"{what}, row {row}");
        }
    }
}
