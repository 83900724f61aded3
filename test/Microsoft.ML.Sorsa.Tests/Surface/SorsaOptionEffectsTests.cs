using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>
/// What each option does to a run, against answers that need no run: sums by hand, the model as it was, other options that mean the same.
/// </summary>
[TestClass]
[TestCategory("Surface")]
[TestCategory("Training")]
public sealed class SorsaOptionEffectsTests
{
    private readonly MLContext _mlContext = new();

    /// <summary>12 rows in batches of 4, twice: six steps.</summary>
    [TestMethod]
    [DataRow(LearningRateDecay.Cosine, 0.0, null, new[] { 1, 0.9330127018922193, 0.75, 0.5, 0.25, 0.0669872981077807 })]
    [DataRow(LearningRateDecay.Linear, 0.5, null, new[] { 0, 1 / 3.0, 2 / 3.0, 1, 2 / 3.0, 1 / 3.0 })]
    [DataRow(LearningRateDecay.Constant, 0.34, null, new[] { 0, 1 / 3.0, 2 / 3.0, 1, 1, 1 })]
    [DataRow(LearningRateDecay.Linear, 0.0, 4, new[] { 1, 0.75, 0.5, 0.25 })]
    public void TheLearningRateFollowsItsSchedule(LearningRateDecay decay, double warmupRatio, int? maxSteps, double[] shares)
    {
        List<SorsaTrainingProgress> log = Log(options =>
        {
            options.LearningRateDecay = decay;
            options.WarmupRatio = warmupRatio;
            options.MaxSteps = maxSteps;
        });

        Assert.HasCount(shares.Length, log);
        for (int step = 0; step < shares.Length; step++)
        {
            Assert.AreEqual(5e-3 * shares[step], log[step].LearningRate, 1e-12, $"step {step + 1}");
        }
    }

    [TestMethod]
    [DataRow(4, 1, 2, null, 6)]
    [DataRow(5, 1, 1, null, 3)]
    [DataRow(4, 2, 1, null, 2)]
    [DataRow(3, 4, 3, null, 3)]
    [DataRow(12, 1, 5, 2, 2)]
    [DataRow(12, 1, 2, 5, 2)]
    public void TheStepsAreThoseOfTheRows(int batchSize, int accumulation, int epochs, int? maxSteps, int steps)
    {
        List<SorsaTrainingProgress> log = Log(options =>
        {
            options.BatchSize = batchSize;
            options.GradientAccumulationSteps = accumulation;
            options.NumberOfEpochs = epochs;
            options.MaxSteps = maxSteps;
        });

        Assert.AreEqual(string.Join(' ', Enumerable.Range(1, steps)), string.Join(' ', log.Select(progress => progress.Step)));
        Assert.IsTrue(log.All(progress => progress.TotalSteps == steps));
    }

    [TestMethod]
    [DataRow(1, null, 1e-3)]
    [DataRow(16, null, 0.0)]
    [DataRow(4, 3.0, 1e-3)]
    public void TrainingStartsFromTheModelAsItWas(int rank, double? alpha, double gamma)
    {
        List<SorsaTrainingProgress> log = Log(options =>
        {
            options.Rank = rank;
            options.Alpha = alpha;
            options.Gamma = gamma;
            options.TargetModules = new Options().TargetModules;
            options.BatchSize = 12;
        });

        Assert.AreEqual(BaseLoss(), log[0].Loss, 1e-4);
        Assert.AreNotEqual(BaseLoss(), log[1].Loss, 1e-3);
        Assert.AreEqual(gamma > 0, log.All(progress => progress.Orthonormality is >= 0));
        Assert.AreEqual(gamma == 0, log.All(progress => progress.Orthonormality is null));
    }

    [TestMethod]
    public void DropoutActsInTrainingOnly()
    {
        List<SorsaTrainingProgress> log = Log(options =>
        {
            options.Dropout = 0.5;
            options.LearningRate = 1e-12;
            options.Gamma = 0;
            options.BatchSize = 12;
        }, validate: true);

        Assert.AreEqual(BaseLoss(), log[0].ValidationLoss!.Value, 1e-4);
        Assert.AreNotEqual(BaseLoss(), log[0].Loss, 1e-3);
    }

    /// <summary>Each pair says the same in two ways.</summary>
    [TestMethod]
    [DataRow(nameof(Options.Alpha), 4.0)]
    [DataRow(nameof(Options.MaxGradNorm), 1e9)]
    [DataRow(nameof(Options.MaxSteps), 6)]
    public void NullMeansWhatItsDocumentationSays(string name, object same)
    {
        void Set(Options options, object? value) => typeof(Options).GetProperty(name)!.SetValue(options, value);

        CollectionAssert.AreEqual(Losses(Log(options => Set(options, null))), Losses(Log(options => Set(options, same))));
    }

    [TestMethod]
    [DataRow(2, 2)]
    [DataRow(1, 4)]
    public void AnEffectiveBatchTrainsAlikeHoweverItIsCut(int batchSize, int accumulation)
    {
        double[] whole = Losses(Log(_ => { }));
        double[] cut = Losses(Log(options => (options.BatchSize, options.GradientAccumulationSteps) = (batchSize, accumulation)));

        Assert.HasCount(whole.Length, cut);
        for (int step = 0; step < whole.Length; step++)
        {
            Assert.AreEqual(whole[step], cut[step], 1e-3, $"step {step + 1}");
        }
    }

    /// <summary>Checkpointed gradients are the same to the bit, and so is every loss and norm.</summary>
    [TestMethod]
    public void GradientCheckpointingChangesNoBit()
    {
        List<SorsaTrainingProgress> plain = Log(options => options.Dropout = 0.1);
        List<SorsaTrainingProgress> checkpointed = Log(
            options => (options.Dropout, options.GradientCheckpointing) = (0.1, true));

        CollectionAssert.AreEqual(Losses(plain), Losses(checkpointed));
        CollectionAssert.AreEqual(
            plain.Select(step => step.GradientNorm).ToArray(), checkpointed.Select(step => step.GradientNorm).ToArray());
    }

    /// <summary>However many rows are scored at a time, the loss is the mean over all of them.</summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(7)]
    public void TheLossIsTheSameInChunksOfAnySize(int chunkSize)
    {
        double[] whole = Losses(Log(options => options.LogitsChunkSize = int.MaxValue));
        double[] chunks = Losses(Log(options => options.LogitsChunkSize = chunkSize));

        for (int step = 0; step < whole.Length; step++)
        {
            Assert.AreEqual(whole[step], chunks[step], 1e-4, $"step {step + 1}");
        }
    }

    /// <summary>Two projections in six layers, U and Vt of each.</summary>
    [TestMethod]
    public void TheSumIsTheMeanTimesTheMatrices()
    {
        double mean = Log(options => options.MaxSteps = 1)[0].Orthonormality!.Value;
        double sum = Log(
            options => (options.MaxSteps, options.RegularizerReduction) = (1, RegularizerReduction.Sum))[0].Orthonormality!.Value;

        Assert.AreEqual(24, sum / mean, 1e-3);
    }

    [TestMethod]
    public void OnlyTheSeedOfTheOptionsDecides()
    {
        static void Drop(Options options) => (options.Dropout, options.Seed) = (0.2, -7);

        double[] losses = Losses(Log(Drop));

        CollectionAssert.AreEqual(losses, Losses(Log(Drop, mlContext: new MLContext(seed: 5))));
        CollectionAssert.AreNotEqual(losses, Losses(Log(options => (options.Dropout, options.Seed) = (0.2, 7))));
    }

    [TestMethod]
    public void ATrainerKeepsTheOptionsItWasMadeWith()
    {
        double[] expected = Losses(Log(_ => { }));
        Options options = Running();
        string[] targets = [.. options.TargetModules];
        options.TargetModules = targets;
        var log = new List<SorsaTrainingProgress>();
        options.Progress = new Listener(log.Add);
        SorsaFineTuningTrainer trainer = _mlContext.Sorsa().FineTune(options);

        (options.Rank, options.LearningRate, options.Seed, options.Progress) = (1, 1, 1, null);
        targets[0] = "nothing";
        trainer.Fit(TinyTask.Data(_mlContext)).Dispose();

        CollectionAssert.AreEqual(expected, Losses(log));
    }

    [TestMethod]
    public void ATrainerFitsAsOftenAsItIsAskedTo()
    {
        var log = new List<SorsaTrainingProgress>();
        Options options = Running();
        options.Dropout = 0.1;
        options.Progress = new Listener(log.Add);
        SorsaFineTuningTrainer trainer = _mlContext.Sorsa().FineTune(options);

        trainer.Fit(TinyTask.Data(_mlContext)).Dispose();
        trainer.Fit(TinyTask.Data(_mlContext)).Dispose();

        CollectionAssert.AreEqual(Losses(log.Take(6)), Losses(log.Skip(6)));
    }

    [TestMethod]
    public void WhatTheListenerThrowsComesThrough()
    {
        Options options = Running();
        options.Progress = new Listener(_ => throw new TimeoutException("enough"));

        Assert.AreEqual(
            "enough",
            Assert.ThrowsExactly<TimeoutException>(() => _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext))).Message);
    }

    [TestMethod]
    public void OnlyTheTargetsChange()
    {
        using SorsaTransformer before = _mlContext.Sorsa().LoadModel(TestData.TinyLlama);
        using SorsaTransformer after = _mlContext.Sorsa().FineTune(Running()).Fit(TinyTask.Data(_mlContext));

        string[] changed = [.. before.Model.Network.NamedWeights.Zip(after.Model.Network.NamedWeights)
            .Where(pair => !Bytes(pair.First.Value).SequenceEqual(Bytes(pair.Second.Value))).Select(pair => pair.Second.Key)];

        string[] expected = [.. Enumerable.Range(0, 6)
            .SelectMany(layer => new[] { $"model.layers.{layer}.mlp.down_proj.weight", $"model.layers.{layer}.self_attn.q_proj.weight" })];
        CollectionAssert.AreEqual(expected, changed);

        static byte[] Bytes(torch.Tensor tensor) => tensor.bytes.ToArray();
    }

    [TestMethod]
    [DataRow(2, "2 4 6")]
    [DataRow(4, "4 6")]
    [DataRow(99, "6")]
    [DataRow(null, "3 6")]
    public void ValidationRowsAreEvaluatedWhenTheOptionSays(int? evaluationSteps, string evaluations)
    {
        List<SorsaTrainingProgress> log = Log(options => options.EvaluationSteps = evaluationSteps, validate: true);

        Assert.AreEqual(
            evaluations, string.Join(' ', log.Where(progress => progress.ValidationLoss is not null).Select(progress => progress.Step)));
    }

    /// <summary>
    /// The first step of a warm-up moves nothing; what follows at this rate only spoils: the model as it was must come back.
    /// </summary>
    [TestMethod]
    public void TheWeightsOfTheLowestValidationLossAreKept()
    {
        Options options = Running();
        (options.LearningRate, options.WarmupRatio, options.Gamma, options.EvaluationSteps, options.EarlyStoppingPatience) =
            (0.3, 0.5, 0, 1, 2);
        var log = new List<SorsaTrainingProgress>();
        options.Progress = new Listener(log.Add);

        using SorsaTransformer before = _mlContext.Sorsa().LoadModel(TestData.TinyLlama);
        using SorsaTransformer after = _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext), TinyTask.Data(_mlContext));

        Assert.HasCount(3, log);
        Assert.IsTrue(log.Skip(1).All(progress => progress.ValidationLoss > log[0].ValidationLoss));
        CollectionAssert.AreEqual(TinyTask.LogitBits(before.Model.Network), TinyTask.LogitBits(after.Model.Network));
    }

    [TestMethod]
    public void TheFittedModelHasColumnsTemplateAndGenerationOfTheOptions()
    {
        Options options = Running();
        (options.PromptColumnName, options.ResponseColumnName, options.OutputColumnName) = ("Question", "Reply", "Said");
        options.PromptTemplate = PromptTemplate.Format("Q: {prompt} A:");
        options.Generation = new GenerationOptions { MaxNewTokens = 1 };
        options.MaxSteps = 1;
        IDataView data = _mlContext.Data.LoadFromEnumerable(
            TinyTask.Rows.Select(row => new Asked { Question = row.Prompt, Reply = row.Response }));

        using SorsaTransformer model = _mlContext.Sorsa().FineTune(options).Fit(data);

        Assert.AreEqual(options.PromptTemplate, model.Model.Prompts.Template);
        Assert.AreEqual("Question Reply Said", string.Join(' ', model.GetOutputSchema(data.Schema).Select(column => column.Name)));
        Assert.IsTrue(model.Transform(data)
            .GetColumn<string>("Said")
            .All(said => model.Model.Prompts.Tokenizer.Encode(said, addSpecialTokens: false).Length <= 2));
    }

    [TestMethod]
    public void AnotherTemplateIsOtherTextToLearnFrom() => Assert.AreNotEqual(
        Log(_ => { })[0].Loss, Log(options => options.PromptTemplate = PromptTemplate.Format("{prompt}\n"))[0].Loss);

    [TestMethod]
    public void ATokenThatIsCancelledAlreadyEndsFitBeforeAnyStep()
    {
        var log = new List<SorsaTrainingProgress>();
        Options options = Running();
        options.CancellationToken = new CancellationToken(canceled: true);
        options.Progress = new Listener(log.Add);

        Assert.ThrowsExactly<OperationCanceledException>(() => _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext)));

        Assert.IsEmpty(log);
    }

    private static Options Running()
    {
        Options options = TinyTask.Options();
        options.NumberOfEpochs = 2;
        options.WarmupRatio = 0;
        return options;
    }

    private List<SorsaTrainingProgress> Log(Action<Options> set, bool validate = false, MLContext? mlContext = null)
    {
        mlContext ??= _mlContext;
        Options options = Running();
        set(options);
        var log = new List<SorsaTrainingProgress>();
        options.Progress = new Listener(log.Add);
        SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(options);
        IDataView data = TinyTask.Data(mlContext);
        using SorsaTransformer model = validate ? trainer.Fit(data, data) : trainer.Fit(data);
        return log;
    }

    private static double[] Losses(IEnumerable<SorsaTrainingProgress> log) => [.. log.Select(progress => progress.Loss)];

    /// <summary>The mean loss of the task's rows under the model as it is.</summary>
    private double BaseLoss()
    {
        using SorsaTransformer model = _mlContext.Sorsa().LoadModel(TestData.TinyLlama);
        PromptEncoder prompts = model.Model.Prompts;
        var encoder = new ExampleEncoder(prompts, prompts.Tokenizer.EosTokenId!.Value, 512, 512);
        EncodedExamples rows = encoder.Encode(TinyTask.Rows.Select(row => (row.Prompt, row.Response)), "rows", CancellationToken.None);
        return SupervisedLoss.Mean(model.Model.Network, rows.Examples, 1, padTokenId: 0, 512);
    }

    private sealed class Asked
    {
        public string Question { get; set; } = "";

        public string Reply { get; set; } = "";
    }

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
