using Microsoft.ML;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tests.Interop;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Analysis;

/// <summary>The option Analysis: six steps of two projections in six layers.</summary>
[TestClass]
[TestCategory("Analysis")]
public sealed class TrainingAnalysisTests
{
    private static readonly string[] s_downProj = ["down_proj"], s_stranger = ["v_proj"];

    private readonly MLContext _mlContext = new();

    public static IEnumerable<object[]> Methods => Enum.GetValues<FineTuningMethod>().Select(method => new object[] { method });

    /// <summary>The last rows are those of the two models' files, which a second program could compare.</summary>
    [TestMethod]
    [DynamicData(nameof(Methods))]
    public void EveryMethodIsMeasuredLikeItsFiles(FineTuningMethod method)
    {
        using var folder = new TemporaryFolder();
        Options options = Set(method, new AnalysisOptions { Steps = 4 });
        options.SavedType = WeightType.Float32;
        using SorsaTransformer model = Fit(options);
        string[] modules = [.. options.TargetModules];
        model.SaveHuggingFace(folder.File("tuned"));

        SorsaAnalysis files = _mlContext.Sorsa().Analyze(
            TestData.TinyLlama, folder.File("tuned"), new AnalysisOptions { TargetModules = modules });

        SorsaAnalysis analysis = model.Analysis!;
        Assert.AreEqual("4 6", Steps(analysis));
        Assert.HasCount(2 * 6 * modules.Length, analysis.Matrices);
        bool hasVectors = method is FineTuningMethod.Sorsa or FineTuningMethod.AdaLora;
        Dictionary<string, MatrixAnalysis> compared = files.Matrices.ToDictionary(row => row.Path);
        foreach (MatrixAnalysis row in analysis.Matrices)
        {
            Assert.AreEqual(hasVectors, row.Orthonormality is >= 0, row.Path);
            Assert.IsGreaterThan(0, row.SingularValueChange, row.Path);
            Assert.IsTrue(row.SingularVectorChange is > 0 and < 1, row.Path);
            Assert.IsTrue(row.EffectiveRank is >= 1 and <= 128.001, row.Path);
            if (row.Step == 6)
            {
                // W_0 and W_t are rounded to 32 bits here and there: what turns vectors of close singular values a little.
                MatrixAnalysis file = compared[row.Path];
                Assert.AreEqual(file.SingularValueChange, row.SingularValueChange, 1e-6, row.Path);
                Assert.AreEqual(file.SingularVectorChange, row.SingularVectorChange, 1e-4, row.Path);
                Assert.AreEqual(file.EffectiveRank, row.EffectiveRank, 0.02 * file.EffectiveRank, row.Path);
                Assert.AreEqual(file.IntruderDimensions, row.IntruderDimensions, row.Path);
            }
        }
    }

    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa)]
    [DataRow(FineTuningMethod.Lora)]
    public void OverAQuantisedBaseItStartsFromWhatIsLeft(FineTuningMethod method)
    {
        Options options = Set(method, new AnalysisOptions { Steps = 1 });
        (options.Quantization, options.WarmupRatio) = (BaseQuantization.NF4, 0.5);

        using SorsaTransformer model = Fit(options);

        // The first step of a warm-up moves nothing: what the quantisation did is no part of the change.
        Assert.AreEqual("1 2 3 4 5 6", Steps(model.Analysis!));
        foreach (MatrixAnalysis row in model.Analysis!.Matrices)
        {
            Assert.AreEqual(row.Step > 1, row.SingularValueChange > 1e-9, row.Path);
            Assert.AreEqual(row.Step > 1, row.EffectiveRank >= 1, row.Path);
        }
    }

    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa)]
    [DataRow(FineTuningMethod.Full)]
    [DataRow(FineTuningMethod.AdaLora)]
    public void NoBitOfTheTrainingChanges(FineTuningMethod method)
    {
        List<(double Loss, double Norm)> plain = [], watched = [];
        Options without = Set(method, null), with = Set(method, new AnalysisOptions { Steps = 1 });
        without.Progress = new Listener(step => plain.Add((step.Loss, step.GradientNorm)));
        with.Progress = new Listener(step => watched.Add((step.Loss, step.GradientNorm)));

        using SorsaTransformer one = Fit(without), other = Fit(with);

        CollectionAssert.AreEqual(plain, watched);
        CollectionAssert.AreEqual(TinyTask.LogitBits(one.Model.Network), TinyTask.LogitBits(other.Model.Network));
        Assert.IsNull(one.Analysis);
        Assert.AreEqual("1 2 3 4 5 6", Steps(other.Analysis!));
    }

    [TestMethod]
    [DataRow(null, "6")]
    [DataRow(1, "1 2 3 4 5 6")]
    [DataRow(2, "2 4 6")]
    [DataRow(5, "5 6")]
    [DataRow(100, "6")]
    public void TheStepsAreThoseThatWereChosenAndTheLast(int? steps, string expected)
    {
        using SorsaTransformer model = Fit(Set(FineTuningMethod.Lora, new AnalysisOptions { Steps = steps }));

        Assert.AreEqual(expected, Steps(model.Analysis!));
    }

    [TestMethod]
    public void OnlyTheModulesThatAreNamedAreMeasured()
    {
        using SorsaTransformer model = Fit(Set(FineTuningMethod.Lora, new AnalysisOptions { TargetModules = s_downProj }));

        Assert.AreEqual(
            "0 1 2 3 4 5", string.Join(' ', model.Analysis!.Matrices.Select(row => row.Layer)));
        Assert.IsTrue(model.Analysis.Matrices.All(row => row.Module == "down_proj"));
    }

    [TestMethod]
    public void GradientCheckpointingIsMeasuredAlike()
    {
        Options plain = Set(FineTuningMethod.Sorsa, new AnalysisOptions { Steps = 3 });
        Options checkpointed = Set(FineTuningMethod.Sorsa, new AnalysisOptions { Steps = 3 });
        checkpointed.GradientCheckpointing = true;

        using SorsaTransformer one = Fit(plain), other = Fit(checkpointed);

        CollectionAssert.AreEqual(one.Analysis!.Matrices.ToArray(), other.Analysis!.Matrices.ToArray());
    }

    /// <summary>
    /// Cancelled at step 4, before that step was measured, and again at step 5: nothing is missing and nothing is there twice.
    /// </summary>
    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa)]
    [DataRow(FineTuningMethod.Partial)]
    public void AResumedTrainingGoesOnWithItsAnalysis(FineTuningMethod method)
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer alone = Fit(Set(method, new AnalysisOptions { Steps = 2 }));
        foreach (int end in new[] { 4, 5 })
        {
            Assert.ThrowsExactly<OperationCanceledException>(() => Fit(Resumed(end)));
        }

        using SorsaTransformer resumed = Fit(Resumed(end: null)), done = Fit(Resumed(end: null));

        Assert.AreEqual("2 4 6", Steps(alone.Analysis!));
        CollectionAssert.AreEqual(alone.Analysis!.Matrices.ToArray(), resumed.Analysis!.Matrices.ToArray());
        CollectionAssert.AreEqual(alone.Analysis.Matrices.ToArray(), done.Analysis!.Matrices.ToArray());

        Options Resumed(int? end)
        {
            var cancellation = new CancellationTokenSource();
            Options options = Set(method, new AnalysisOptions { Steps = 2 });
            (options.CheckpointFolder, options.CancellationToken) = (folder.File("checkpoints"), cancellation.Token);
            options.Progress = new Listener(step =>
            {
                if (step.Step == end)
                {
                    cancellation.Cancel();
                }
            });
            return options;
        }
    }

    [TestMethod]
    public void ADamagedAnalysisInACheckpointIsNotTaken()
    {
        using var folder = new TemporaryFolder();
        Options options = Set(FineTuningMethod.Lora, new AnalysisOptions { Steps = 3 });
        (options.CheckpointFolder, options.CheckpointSteps) = (folder.File("checkpoints"), 3);
        using SorsaTransformer first = Fit(options);
        string file = folder.File("checkpoints", "checkpoint-6", "analysis.json");
        File.WriteAllText(file, File.ReadAllText(file).Replace("\"step\": 6", "\"step\": 5", StringComparison.Ordinal));

        using SorsaTransformer again = Fit(options);

        // The checkpoint before it is taken, and the last steps are trained again.
        CollectionAssert.AreEqual(first.Analysis!.Matrices.ToArray(), again.Analysis!.Matrices.ToArray());
    }

    /// <summary>Training that validation rows end is measured where it ends.</summary>
    [TestMethod]
    public void TheLastStepIsMeasuredWhereItStopsEarly()
    {
        Options options = Set(FineTuningMethod.Lora, new AnalysisOptions { Steps = 100 });
        (options.LearningRate, options.WarmupRatio, options.EvaluationSteps, options.EarlyStoppingPatience) = (0.9, 0.5, 1, 2);
        IDataView data = TinyTask.Data(_mlContext);

        using SorsaTransformer model = _mlContext.Sorsa().FineTune(options).Fit(data, data);

        Assert.AreEqual("3", Steps(model.Analysis!));
    }

    [TestMethod]
    public void AModelObjectIsMeasured()
    {
        using var model = LookAlikes.Random("llama", ForeignModelsTrainingTests.Config.Spec);
        Options options = Set(FineTuningMethod.Sorsa, new AnalysisOptions { Steps = 3 });
        options.ModelFolder = "";

        using SorsaTransformer transformer = _mlContext.Sorsa()
            .FineTune(model, ForeignModelsTrainingTests.Tokens(), options).Fit(TinyTask.Data(_mlContext));

        Assert.AreEqual("3 6", Steps(transformer.Analysis!));
        Assert.AreEqual("0 0 1 1", string.Join(' ', transformer.Analysis!.Matrices.Take(4).Select(row => row.Layer)));
        Assert.IsTrue(transformer.Analysis.Matrices.All(row => row.SingularVectorChange > 0 && row.Orthonormality is >= 0));
    }

    [TestMethod]
    public void AZipHoldsNoAnalysis()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = Fit(Set(FineTuningMethod.Lora, new AnalysisOptions()));
        model.Save(folder.File("model.zip"));

        using SorsaTransformer loaded = _mlContext.Sorsa().LoadZip(folder.File("model.zip"));

        Assert.IsNull(loaded.Analysis);
        Assert.IsNotNull(model.Analysis);
    }

    [TestMethod]
    public void OptionsOutsideOfTheirRangesAreRefused()
    {
        Refused<ArgumentOutOfRangeException>(new AnalysisOptions { Steps = 0 }, "Analysis.Steps is 0; it must be at least 1");
        Refused<ArgumentOutOfRangeException>(
            new AnalysisOptions { IntruderCandidates = 0 }, "Analysis.IntruderCandidates is 0; it must be at least 1");
        Refused<ArgumentOutOfRangeException>(
            new AnalysisOptions { IntruderThreshold = 0 }, "Analysis.IntruderThreshold is 0; it must be above 0 and at most 1");
        Refused<ArgumentOutOfRangeException>(
            new AnalysisOptions { IntruderThreshold = double.NaN }, "Analysis.IntruderThreshold is NaN");
        Refused<ArgumentException>(new AnalysisOptions { TargetModules = [] }, "Analysis.TargetModules is empty");
        Refused<ArgumentException>(
            new AnalysisOptions { TargetModules = s_stranger },
            "Analysis.TargetModules is 'v_proj', and TargetModules has q_proj, down_proj");

        void Refused<T>(AnalysisOptions analysis, string message)
            where T : ArgumentException => Assert.Contains(
                message,
                Assert.ThrowsExactly<T>(() => _mlContext.Sorsa().FineTune(Set(FineTuningMethod.Lora, analysis))).Message);
    }

    [TestMethod]
    public void ASweepRefusesAnAnalysis()
    {
        Options options = Set(FineTuningMethod.Lora, new AnalysisOptions());

        Assert.Contains("keeps no analysis",
            Assert.ThrowsExactly<ArgumentException>(() => _mlContext.Sorsa().CreateExperiment().SetTrainer(options)).Message);
    }

    private SorsaTransformer Fit(Options options) => _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext));

    private static Options Set(FineTuningMethod method, AnalysisOptions? analysis)
    {
        Options options = TinyTask.Options();
        (options.Method, options.NumberOfEpochs, options.Analysis) = (method, 2, analysis);
        if (method is FineTuningMethod.Full or FineTuningMethod.Lisa)
        {
            options.TargetModules = new Options().TargetModules;
        }

        if (method is FineTuningMethod.Full or FineTuningMethod.Partial or FineTuningMethod.Lisa)
        {
            options.Rank = null;
        }

        if (method == FineTuningMethod.Lisa)
        {
            // All layers, so that every matrix moves.
            options.LayerSampling = new LayerSampling { Layers = 6 };
        }

        return options;
    }

    private static string Steps(SorsaAnalysis analysis) => string.Join(' ', analysis.Matrices.Select(row => row.Step).Distinct());

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
