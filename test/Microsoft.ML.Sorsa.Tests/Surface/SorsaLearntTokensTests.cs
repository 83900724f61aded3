using Microsoft.ML;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tests.Interop;
using Microsoft.ML.Sorsa.Tests.Sweeps;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>
/// RowOrder, TrainedTokens and EndToken through a trainer: the loss of every step against sums made here, row by row and without padding.
/// </summary>
[TestClass]
[TestCategory("Surface")]
[TestCategory("Training")]
[TestCategory("Numeric")]
public sealed class SorsaLearntTokensTests
{
    private const int BatchSize = 2, Accumulation = 3;

    /// <summary>More than a bucket of 40, of all lengths, some alike.</summary>
    private static readonly (string Prompt, string Response)[] s_rows = [.. Enumerable.Range(0, 53).Select(i =>
        (Repeated($"Tom has {i} apples. ", 1 + (i * 7 % 4)), $" {i} + {i * 3 % 11} = {Repeated("1", i % 5)}"))];

    private readonly MLContext _mlContext = TestDevice.Context();

    [TestMethod]
    [DataRow(RowOrder.AsGiven, TrainedTokens.Response, EndToken.Always)]
    [DataRow(RowOrder.AsGiven, TrainedTokens.Response, EndToken.Never)]
    [DataRow(RowOrder.AsGiven, TrainedTokens.Response, EndToken.WherePadded)]
    [DataRow(RowOrder.AsGiven, TrainedTokens.All, EndToken.Always)]
    [DataRow(RowOrder.AsGiven, TrainedTokens.All, EndToken.Never)]
    [DataRow(RowOrder.SortedBuckets, TrainedTokens.All, EndToken.WherePadded)]
    [DataRow(RowOrder.SortedBuckets, TrainedTokens.Response, EndToken.Always)]
    public void EveryLossIsTheMeanOverWhatTheOptionsSay(RowOrder order, TrainedTokens tokens, EndToken end)
    {
        var log = new List<SorsaTrainingProgress>();
        Options options = Set(order, tokens, end, log);
        options.EvaluationSteps = 1;
        _mlContext.Sorsa().FineTune(options).Fit(Data(s_rows), Data(s_rows[..15])).Dispose();

        using SorsaTransformer model = _mlContext.Sorsa().LoadModel(TestData.TinyLlama);
        (int[] Ids, int Unlearnt)[] texts = [.. s_rows.Select(row => Text(model.Model.Prompts.Tokenizer, row, tokens))];
        (int[] Ids, int Unlearnt)[] sorted = order == RowOrder.AsGiven
            ? texts
            : [.. texts.Chunk(20 * BatchSize).SelectMany(bucket => bucket.OrderByDescending(text => text.Ids.Length))];
        double[] expected = [.. sorted.Chunk(BatchSize * Accumulation).Select(step => Mean(model.Model.Network, step, end))];
        double validation = Mean(model.Model.Network, [.. texts.Take(15).OrderBy(text => text.Ids.Length)], end);

        Assert.HasCount(expected.Length, log);
        for (int step = 0; step < expected.Length; step++)
        {
            Assert.AreEqual(expected[step], log[step].Loss, 1e-4, $"step {step + 1}");
        }

        Assert.AreEqual(validation, log[0].ValidationLoss!.Value, 1e-4);
        Assert.AreEqual(TrainedTokens.All == tokens, texts.All(text => text.Unlearnt == 0));
    }

    [TestMethod]
    [DataRow(RowOrder.AsGiven)]
    [DataRow(RowOrder.SortedBuckets)]
    public void ATrainingGoesOnAtTheRowWhereItWasCancelled(RowOrder order)
    {
        using var folder = new TemporaryFolder();
        List<SorsaTrainingProgress> alone = [], interrupted = [];
        Options options = Set(order, TrainedTokens.All, EndToken.WherePadded, alone);
        (options.LearningRate, options.NumberOfEpochs) = (1e-3, 2);
        _mlContext.Sorsa().FineTune(options).Fit(Data(s_rows)).Dispose();

        // In the second epoch, which begins with the data's first rows again.
        using var cancellation = new CancellationTokenSource();
        (options.CheckpointFolder, options.CancellationToken) = (folder.File("checkpoints"), cancellation.Token);
        options.Progress = new Listener(progress =>
        {
            interrupted.Add(progress);
            if (progress.Step == 11)
            {
                cancellation.Cancel();
            }
        });
        Assert.ThrowsExactly<OperationCanceledException>(() => _mlContext.Sorsa().FineTune(options).Fit(Data(s_rows)));
        options.CancellationToken = CancellationToken.None;
        _mlContext.Sorsa().FineTune(options).Fit(Data(s_rows)).Dispose();

        Assert.HasCount(18, alone);
        CollectionAssert.AreEqual(
            alone.Select(progress => (progress.Step, progress.Loss)).ToArray(),
            interrupted.Select(progress => (progress.Step, progress.Loss)).ToArray());
    }

    [TestMethod]
    public void AnotherValueIsAnotherRun()
    {
        using var folder = new TemporaryFolder();
        Options Begun()
        {
            Options options = Set(RowOrder.AsGiven, TrainedTokens.All, EndToken.WherePadded, []);
            (options.MaxSteps, options.CheckpointFolder) = (2, folder.File("checkpoints"));
            return options;
        }

        _mlContext.Sorsa().FineTune(Begun()).Fit(Data(s_rows)).Dispose();
        string Refusal(Action<Options> set)
        {
            Options options = Begun();
            set(options);
            return Assert.ThrowsExactly<InvalidOperationException>(
                () => _mlContext.Sorsa().FineTune(options).Fit(Data(s_rows))).Message;
        }

        Assert.Contains(
            "RowOrder: the checkpoint has 'AsGiven', this training 'Shuffled'", Refusal(options => options.RowOrder = RowOrder.Shuffled));
        Assert.Contains(
            "TrainedTokens: the checkpoint has 'All', this training 'Response'",
            Refusal(options => options.TrainedTokens = TrainedTokens.Response));
        Assert.Contains(
            "EndToken: the checkpoint has 'WherePadded', this training 'Always'", Refusal(options => options.EndToken = EndToken.Always));
    }

    /// <summary>A checkpoint from before these options says nothing of them, and was trained with their defaults.</summary>
    [TestMethod]
    public void WhatACheckpointDoesNotSayIsTheDefault()
    {
        var before = new Dictionary<string, string> { ["Rank"] = "4" };
        Dictionary<string, string> Now(string order, string tokens, string end) =>
            new() { ["Rank"] = "4", ["RowOrder"] = order, ["TrainedTokens"] = tokens, ["EndToken"] = end };

        Assert.IsNull(RunIdentity.Difference(before, Now("Shuffled", "Response", "Always")));
        Assert.Contains(
            "RowOrder: the checkpoint has 'Shuffled', this training 'AsGiven'",
            RunIdentity.Difference(before, Now("AsGiven", "Response", "Always"))!);
        Assert.Contains("EndToken: ", RunIdentity.Difference(before, Now("Shuffled", "Response", "Never"))!);
        Assert.Contains(
            "Threads: the checkpoint has nothing, this training '2'",
            RunIdentity.Difference(new Dictionary<string, string>(), new Dictionary<string, string> { ["Threads"] = "2" })!);
    }

    /// <summary>Trainings that share rows in tokens share them only where they learn the same of them.</summary>
    [TestMethod]
    public void ASharedModelMakesTheRowsAnewForOtherTokens()
    {
        using var folder = new TemporaryFolder();
        using SorsaBaseModel shared = _mlContext.Sorsa().OpenBaseModel(
            Set(RowOrder.AsGiven, TrainedTokens.All, EndToken.Always, []), 4, folder.Path);
        foreach ((TrainedTokens tokens, EndToken end) in new[]
        {
            (TrainedTokens.Response, EndToken.Always), (TrainedTokens.All, EndToken.Always), (TrainedTokens.All, EndToken.WherePadded),
            (TrainedTokens.All, EndToken.Never),
        })
        {
            List<SorsaTrainingProgress> alone = [], together = [];
            _mlContext.Sorsa().FineTune(Set(RowOrder.AsGiven, tokens, end, alone, 1)).Fit(Data(s_rows)).Dispose();
            shared.FineTune(Set(RowOrder.AsGiven, tokens, end, together, 1), s_rows).Model.Dispose();

            Assert.AreEqual(alone.Single().Loss, together.Single().Loss, 1e-6, $"{tokens}, {end}");
        }
    }

    /// <summary>A model object, whose tokenizer is Microsoft.ML.Tokenizers'.</summary>
    [TestMethod]
    [DataRow(TrainedTokens.All, EndToken.WherePadded)]
    [DataRow(TrainedTokens.Response, EndToken.Never)]
    public void AModelObjectLearnsTheSameTokens(TrainedTokens tokens, EndToken end)
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random("llama", ForeignModelsTrainingTests.Config.Spec).to(TestDevice.Current);
        model.eval();
        var log = new List<SorsaTrainingProgress>();
        Options options = ForeignModelsTrainingTests.Settings([]);
        (options.Method, options.LearningRate, options.NumberOfEpochs, options.MaxSteps) = (FineTuningMethod.Lora, 1e-12, 1, 3);
        (options.RowOrder, options.TrainedTokens, options.EndToken) = (RowOrder.AsGiven, tokens, end);
        options.Progress = new Listener(log.Add);
        var tokenizer = new Sorsa.Interop.UserTokenizer(ForeignModelsTrainingTests.Tokens());
        int[] Ids(string text) => tokenizer.Encode(text, addSpecialTokens: false);
        (int[] Ids, int Unlearnt)[] texts = [.. TinyTask.Rows.Take(4).Select(row =>
        {
            int[] prompt = [tokenizer.BosTokenId!.Value, .. Ids($"{row.Prompt} ")];
            return tokens == TrainedTokens.All
                ? ([tokenizer.BosTokenId!.Value, .. Ids($"{row.Prompt} {row.Response}")], 0)
                : ((int[])[.. prompt, .. Ids(row.Response)], prompt.Length);
        })];
        double expected = Mean(
            ids => model.call(new CausalLookAlikeInput(ids, useCache: false)).Logits!, texts, end, 4, tokenizer.EosTokenId!.Value);

        _mlContext.Sorsa().FineTune(model, ForeignModelsTrainingTests.Tokens(), options).Fit(TinyTask.Data(_mlContext)).Dispose();

        Assert.AreEqual(expected, log[0].Loss, 1e-4);
    }

    /// <summary>The estimate is that of the batches that these options make, and the log says what was cut of the texts.</summary>
    [TestMethod]
    public void TheEstimateAndTheLogKnowOfWholeTexts()
    {
        var messages = new List<string>();
        _mlContext.Log += (_, e) => messages.Add(e.Message);
        Options options = Set(RowOrder.AsGiven, TrainedTokens.All, EndToken.Never, [], maxSteps: 20);
        TextTokenizer tokenizer = TextTokenizer.Load(TestData.TinyLlama);
        int[] lengths = [.. s_rows.Select(row => Text(tokenizer, row, TrainedTokens.All).Ids.Length)];
        int labels = lengths.Chunk(BatchSize).Max(batch => batch.Sum(length => length - 1));

        Assert.Contains($" with {labels} labels", _mlContext.Sorsa().Estimate(options, Data(s_rows)).Batch);
        (options.MaxPromptLength, options.MaxResponseLength) = (20, 10);
        Assert.AreEqual("2 × 30 tokens with 58 labels", _mlContext.Sorsa().Estimate(options, Data(s_rows)).Batch);
        Assert.AreEqual("2 × 30 tokens with 58 labels", _mlContext.Sorsa().Estimate(options).Batch);
        string expected = $"{lengths.Count(length => length > 30)} of {s_rows.Length} texts were cut, the end token first: "
            + $"MaxPromptLength + MaxResponseLength is 30, and the longest has {lengths.Max()} tokens";
        Assert.Contains(message => message.Contains(expected, StringComparison.Ordinal), messages);
        Assert.DoesNotContain(message => message.Contains("responses were cut", StringComparison.Ordinal), messages);
    }

    /// <summary>Said before the first trial, and not by each trial that meets it.</summary>
    [TestMethod]
    public void ASweepRefusesBatchesOfOneRowTogetherWithAnEndThatNeedsTwo()
    {
        SorsaSearchSpace Space(params object[] ends) => new()
        {
            ["BatchSize"] = new ChoiceOption(1, 2),
            ["EndToken"] = new ChoiceOption(ends),
        };

        Assert.Contains("BatchSize is 1", Assert.ThrowsExactly<ArgumentException>(
            () => SweepTask.Experiment.SetSearchSpace(Space(EndToken.WherePadded, EndToken.Always)).Run()).Message);
    }

    private static Options Set(RowOrder order, TrainedTokens tokens, EndToken end, List<SorsaTrainingProgress> log, int? maxSteps = null)
    {
        Options options = TinyTask.Options();
        (options.Method, options.LearningRate, options.MaxSteps) = (FineTuningMethod.Lora, 1e-12, maxSteps);
        (options.BatchSize, options.GradientAccumulationSteps) = (BatchSize, Accumulation);
        (options.RowOrder, options.TrainedTokens, options.EndToken) = (order, tokens, end);
        options.PromptTemplate = PromptTemplate.Format("Q: {prompt}A:");
        options.Progress = new Listener(log.Add);
        return options;
    }

    private static string Repeated(string text, int count) => string.Concat(Enumerable.Repeat(text, count));

    private IDataView Data((string Prompt, string Response)[] rows) =>
        _mlContext.Data.LoadFromEnumerable(rows.Select(row => new TinyTask.Row { Prompt = row.Prompt, Response = row.Response }));

    private static (int[] Ids, int Unlearnt) Text(ITextTokenizer tokenizer, (string Prompt, string Response) row, TrainedTokens tokens)
    {
        int[] prompt = tokenizer.Encode($"Q: {row.Prompt}A:", addSpecialTokens: true);
        return tokens == TrainedTokens.All
            ? (tokenizer.Encode($"Q: {row.Prompt}A:{row.Response}", addSpecialTokens: true), 0)
            : ([.. prompt, .. tokenizer.Encode(row.Response, addSpecialTokens: false)], prompt.Length);
    }

    private static double Mean(CausalLM model, (int[] Ids, int Unlearnt)[] texts, EndToken end) =>
        Mean(ids => model.Logits(model.Forward(model.Embed(ids.OnDevice()))), texts, end, BatchSize, 2);

    /// <summary>−log p of each learnt token, one text after the other, over all of them.</summary>
    private static double Mean(
        Func<Tensor, Tensor> logits, (int[] Ids, int Unlearnt)[] texts, EndToken end, int batchSize, int endTokenId)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        double sum = 0;
        int count = 0;
        foreach ((int[] Ids, int Unlearnt)[] batch in texts.Chunk(batchSize))
        {
            int longest = batch.Max(text => text.Ids.Length);
            foreach ((int[] ids, int unlearnt) in batch)
            {
                bool ends = end == EndToken.Always || (end == EndToken.WherePadded && ids.Length < longest);
                long[] whole = [.. ids.Select(id => (long)id), .. ends ? new long[] { endTokenId } : []];
                Tensor input = tensor(whole, [1, whole.Length]).OnDevice();
                Tensor scores = nn.functional.log_softmax(logits(input)[0].to(ScalarType.Float64), 1).cpu();
                for (int t = Math.Max(unlearnt, 1); t < whole.Length; t++, count++)
                {
                    sum -= scores[t - 1, whole[t]].item<double>();
                }
            }
        }

        return sum / count;
    }

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
