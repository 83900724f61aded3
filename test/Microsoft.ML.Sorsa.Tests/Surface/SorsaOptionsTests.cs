using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Surface;

[TestClass]
[TestCategory("Surface")]
public sealed class SorsaOptionsTests
{
    [TestMethod]
    public void DefaultsAreThoseOfTheDesign()
    {
        var options = new Options();

        Assert.AreEqual("Prompt Response Reply", $"{options.PromptColumnName} {options.ResponseColumnName} {options.OutputColumnName}");
        Assert.AreEqual(PromptTemplate.Alpaca, options.PromptTemplate);
        Assert.AreEqual(
            (FineTuningMethod.Sorsa, null, null, 0.0, null), (options.Method, options.Rank, options.Alpha, options.Dropout, options.Gamma));
        Assert.AreEqual(RegularizerReduction.Mean, options.RegularizerReduction);
        Assert.AreEqual("q_proj k_proj v_proj o_proj gate_proj up_proj down_proj", string.Join(" ", options.TargetModules));
        Assert.AreEqual((null, LearningRateDecay.Cosine, 0.03), (options.LearningRate, options.LearningRateDecay, options.WarmupRatio));
        Assert.AreEqual(
            (0.0, 0.9, 0.999, 1e-8, 1.0),
            (options.WeightDecay, options.AdamBeta1, options.AdamBeta2, options.AdamEpsilon, options.MaxGradNorm));
        Assert.AreEqual((16, 1, 1, null), (options.BatchSize, options.GradientAccumulationSteps, options.NumberOfEpochs, options.MaxSteps));
        Assert.AreEqual(
            (512, 512, null, null, 0),
            (options.MaxPromptLength, options.MaxResponseLength, options.EvaluationSteps, options.EarlyStoppingPatience, options.Seed));
        Assert.AreEqual(
            (RowOrder.Shuffled, TrainedTokens.Response, EndToken.Always), (options.RowOrder, options.TrainedTokens, options.EndToken));
        Assert.AreEqual(
            (WeightType.Float32, WeightType.Checkpoint, false), (options.ComputeType, options.SavedType, options.AllowTf32));
        Assert.AreEqual(new GenerationOptions().MaxNewTokens, options.Generation.MaxNewTokens);
    }

    [TestMethod]
    [DataRow(128, nameof(Options.Llama2_7B))]
    [DataRow(64, nameof(Options.Mistral_7B))]
    public void PresetsAreThePapersTables(int rank, string name)
    {
        Options preset = name == nameof(Options.Llama2_7B) ? Options.Llama2_7B("folder") : Options.Mistral_7B("folder");

        Assert.AreEqual(("folder", rank, 3e-5, 4e-4), (preset.ModelFolder, preset.Rank, preset.LearningRate, preset.Gamma));
        Assert.AreEqual(128, preset.BatchSize * preset.GradientAccumulationSteps);
        Assert.AreEqual(
            (0.0, 0.03, LearningRateDecay.Cosine, 1),
            (preset.WeightDecay, preset.WarmupRatio, preset.LearningRateDecay, preset.NumberOfEpochs));
        Assert.AreEqual(
            (512, 512, WeightType.BFloat16, true),
            (preset.MaxPromptLength, preset.MaxResponseLength, preset.ComputeType, preset.AllowTf32));
        Assert.AreEqual((0.9, 0.999, 1e-8), (preset.AdamBeta1, preset.AdamBeta2, preset.AdamEpsilon));
        Assert.AreEqual(
            (null, 0.0, RegularizerReduction.Mean, PromptTemplate.Alpaca),
            (preset.Alpha, preset.Dropout, preset.RegularizerReduction, preset.PromptTemplate));
    }

    /// <summary>The tables also say how many parameters that trains, which only the right rank on the right projections gives.</summary>
    [TestMethod]
    [DataRow(nameof(Options.Llama2_7B), 32, 11008, 320)]
    [DataRow(nameof(Options.Mistral_7B), 8, 14336, 168)]
    public void PresetsTrainAsManyParametersAsTheTablesSay(string name, int keyValueHeads, int intermediate, int millions)
    {
        Options preset = name == nameof(Options.Llama2_7B) ? Options.Llama2_7B("folder") : Options.Mistral_7B("folder");
        DecoderConfig config = DecoderConfig.Parse(Encoding.UTF8.GetBytes($$"""
            { "model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": {{keyValueHeads}},
              "num_hidden_layers": 32, "intermediate_size": {{intermediate}}, "vocab_size": 32000 }
            """), name);

        AdapterSet.Verify(config, preset.TargetModules, preset.Rank);
        long parameters = CausalLM.Layout(config.Spec).Tensors
            .Where(named => preset.TargetModules.Any(target => named.Key.EndsWith($".{target}.weight", StringComparison.Ordinal)))
            .Sum(named => preset.Rank!.Value * (named.Value[0] + named.Value[1] + 1));

        Assert.AreEqual(millions, Math.Round(parameters / 1e6));
    }

    [TestMethod]
    [DataRow(nameof(Options.PromptTemplate), null, "is null; it must be set")]
    [DataRow(nameof(Options.TargetModules), null, "is null; it must be set")]
    [DataRow(nameof(Options.Generation), null, "is null; it must be set")]
    [DataRow(nameof(Options.RegularizerReduction), (RegularizerReduction)7, "is 7; it must be one of Mean, Sum")]
    [DataRow(nameof(Options.LearningRateDecay), (LearningRateDecay)7, "is 7; it must be one of Cosine, Linear, Constant")]
    [DataRow(nameof(Options.RowOrder), (RowOrder)7, "is 7; it must be one of Shuffled, AsGiven, SortedBuckets")]
    [DataRow(nameof(Options.TrainedTokens), (TrainedTokens)7, "is 7; it must be one of Response, All")]
    [DataRow(nameof(Options.EndToken), (EndToken)7, "is 7; it must be one of Always, Never, WherePadded")]
    [DataRow(nameof(Options.ComputeType), (WeightType)7, "is 7; it must be one of Checkpoint, Float32, Float16, BFloat16, Auto")]
    [DataRow(nameof(Options.ComputeType), WeightType.Float16, "is Float16, in which small gradients vanish")]
    [DataRow(nameof(Options.SavedType), (WeightType)7, "is 7; it must be one of Checkpoint, Float32, Float16, BFloat16")]
    public void AValueThatIsNoneIsRefusedWhenTheTrainerIsMade(string name, object? value, string problem)
    {
        Options options = TinyTask.Options();
        typeof(Options).GetProperty(name)!.SetValue(options, value);

        ArgumentException error = Assert.Throws<ArgumentException>(() => new MLContext().Sorsa().FineTune(options));

        Assert.AreEqual(name, error.ParamName);
        Assert.MatchesRegex($@"^{name} {problem}.*\. [A-Z].+\.", error.Message);
    }

    [TestMethod]
    public void GenerationThatDoesNotFitTogetherIsRefusedWhenTheTrainerIsMade()
    {
        Options options = TinyTask.Options();
        options.Generation = new GenerationOptions { TopK = 5 };

        string message = Assert.ThrowsExactly<ArgumentException>(() => new MLContext().Sorsa().FineTune(options)).Message;

        Assert.Contains("TopK is 5 and Temperature is 0", message);
    }

    [TestMethod]
    public void AnEndThatNoRowCouldLearnIsRefusedWhenTheTrainerIsMade()
    {
        Options options = TinyTask.Options();
        (options.EndToken, options.BatchSize, options.GradientAccumulationSteps) = (EndToken.WherePadded, 1, 8);

        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(() => new MLContext().Sorsa().FineTune(options));

        Assert.AreEqual(nameof(Options.EndToken), error.ParamName);
        Assert.Contains("EndToken is WherePadded, and BatchSize is 1: ", error.Message);
        Assert.Contains("Raise BatchSize, or choose Always or Never.", error.Message);
    }

    [TestMethod]
    [DataRow(nameof(Options.Rank), 0, "at least 1")]
    [DataRow(nameof(Options.Rank), 129, "allows ranks from 1 to 128")]
    [DataRow(nameof(Options.Alpha), 0.0, "above 0")]
    [DataRow(nameof(Options.Dropout), 1.0, "at least 0 and below 1")]
    [DataRow(nameof(Options.Gamma), -1e-4, "at least 0")]
    [DataRow(nameof(Options.Gamma), double.NaN, "at least 0")]
    [DataRow(nameof(Options.LearningRate), 0.0, "above 0")]
    [DataRow(nameof(Options.LearningRate), double.PositiveInfinity, "above 0")]
    [DataRow(nameof(Options.WarmupRatio), 1.5, "from 0 to 1")]
    [DataRow(nameof(Options.WeightDecay), -1.0, "at least 0")]
    [DataRow(nameof(Options.AdamBeta1), 1.0, "at least 0 and below 1")]
    [DataRow(nameof(Options.AdamBeta2), -0.1, "at least 0 and below 1")]
    [DataRow(nameof(Options.AdamEpsilon), 0.0, "above 0")]
    [DataRow(nameof(Options.MaxGradNorm), 0.0, "above 0")]
    [DataRow(nameof(Options.BatchSize), 0, "at least 1")]
    [DataRow(nameof(Options.LogitsChunkSize), 0, "at least 1")]
    [DataRow(nameof(Options.GradientAccumulationSteps), 0, "at least 1")]
    [DataRow(nameof(Options.NumberOfEpochs), -1, "at least 1")]
    [DataRow(nameof(Options.MaxSteps), 0, "at least 1")]
    [DataRow(nameof(Options.MaxPromptLength), 0, "at least 1")]
    [DataRow(nameof(Options.MaxResponseLength), 0, "at least 1")]
    [DataRow(nameof(Options.EvaluationSteps), 0, "at least 1")]
    [DataRow(nameof(Options.EarlyStoppingPatience), 0, "at least 1")]
    [DataRow(nameof(Options.PromptColumnName), " ", "must not be empty")]
    [DataRow(nameof(Options.ResponseColumnName), "", "must not be empty")]
    [DataRow(nameof(Options.OutputColumnName), "", "must not be empty")]
    [DataRow(nameof(Options.ModelFolder), "", "must not be empty")]
    public void AValueOutsideItsRangeIsRefusedWhenTheTrainerIsMade(string name, object value, string limit)
    {
        Options options = TinyTask.Options();
        options.TargetModules = new Options().TargetModules;
        var property = typeof(Options).GetProperty(name)!;
        property.SetValue(options, value);

        ArgumentException error = Assert.Throws<ArgumentException>(() => new MLContext().Sorsa().FineTune(options));

        Assert.Contains(name, error.Message);
        Assert.MatchesRegex(Regex.Escape(limit) + @"\. [A-Z].+\.", error.Message, "a remedy follows the limit");
        Assert.Contains(Convert.ToString(value, CultureInfo.InvariantCulture)!.Trim(), error.Message);
    }

    /// <summary>Each of these, and nothing else, is changed; the answers or the losses must notice.</summary>
    [TestMethod]
    [DataRow(nameof(Options.Rank), 3)]
    [DataRow(nameof(Options.Alpha), 2.0)]
    [DataRow(nameof(Options.Dropout), 0.3)]
    [DataRow(nameof(Options.Gamma), 1.0)]
    [DataRow(nameof(Options.RegularizerReduction), RegularizerReduction.Sum)]
    [DataRow(nameof(Options.LearningRate), 4e-3)]
    [DataRow(nameof(Options.LearningRateDecay), LearningRateDecay.Constant)]
    [DataRow(nameof(Options.WarmupRatio), 0.5)]
    [DataRow(nameof(Options.WeightDecay), 0.5)]
    [DataRow(nameof(Options.AdamBeta1), 0.5)]
    [DataRow(nameof(Options.AdamBeta2), 0.5)]
    [DataRow(nameof(Options.AdamEpsilon), 1e-2)]
    [DataRow(nameof(Options.MaxGradNorm), 1e-3)]
    [DataRow(nameof(Options.BatchSize), 3)]
    [DataRow(nameof(Options.GradientAccumulationSteps), 2)]
    [DataRow(nameof(Options.NumberOfEpochs), 3)]
    [DataRow(nameof(Options.MaxSteps), 5)]
    [DataRow(nameof(Options.MaxPromptLength), 35)]
    [DataRow(nameof(Options.MaxResponseLength), 4)]
    [DataRow(nameof(Options.RowOrder), RowOrder.AsGiven)]
    [DataRow(nameof(Options.RowOrder), RowOrder.SortedBuckets)]
    [DataRow(nameof(Options.TrainedTokens), TrainedTokens.All)]
    [DataRow(nameof(Options.EndToken), EndToken.Never)]
    [DataRow(nameof(Options.EndToken), EndToken.WherePadded)]
    [DataRow(nameof(Options.Seed), 1)]
    [DataRow(nameof(Options.ComputeType), WeightType.BFloat16)]
    public void EveryOptionIsRead(string name, object value)
    {
        Options options = Running();
        options.Gamma = name == nameof(Options.RegularizerReduction) ? 0.1 : options.Gamma;
        IReadOnlyList<SorsaTrainingProgress> before = Losses(options);
        typeof(Options).GetProperty(name)!.SetValue(options, value);

        IReadOnlyList<SorsaTrainingProgress> after = Losses(options);

        Assert.IsFalse(before.Select(Seen).SequenceEqual(after.Select(Seen)));

        static (int, double, double, double) Seen(SorsaTrainingProgress progress) =>
            (progress.TotalSteps, progress.Loss, progress.LearningRate, progress.GradientNorm);
    }

    /// <summary>That a run changes would not tell β₁ from β₂.</summary>
    [TestMethod]
    public void TheLoopIsToldEachOptionUnderItsOwnName()
    {
        var options = new Options
        {
            LearningRate = 0.01,
            LearningRateDecay = LearningRateDecay.Linear,
            WarmupRatio = 0.02,
            WeightDecay = 0.03,
            AdamBeta1 = 0.04,
            AdamBeta2 = 0.05,
            AdamEpsilon = 0.06,
            MaxGradNorm = 0.07,
            RowOrder = RowOrder.SortedBuckets,
            BatchSize = 2,
            GradientAccumulationSteps = 3,
            LogitsChunkSize = 12,
            GradientCheckpointing = true,
            AllowTf32 = true,
            NumberOfEpochs = 4,
            MaxSteps = 5,
            EvaluationSteps = 9,
            EarlyStoppingPatience = 10,
            Seed = 11,
        };

        TrainingSettings told = options.ToSettings().Training;

        foreach (PropertyInfo property in typeof(TrainingSettings).GetProperties()
            .Where(property => property.Name != nameof(TrainingSettings.PadTokenId)))
        {
            Assert.AreEqual(typeof(Options).GetProperty(property.Name)!.GetValue(options), property.GetValue(told), property.Name);
        }
    }

    [TestMethod]
    public void ValidationRowsAreEvaluatedAndStopEarly()
    {
        var mlContext = new MLContext();
        Options options = Running();

        // Too small a step for float32 to move anything: the first evaluation is the lowest, and two more are as good.
        options.LearningRate = 1e-12;
        options.Gamma = 0;
        options.EvaluationSteps = 1;
        options.EarlyStoppingPatience = 2;
        var log = new List<SorsaTrainingProgress>();
        options.Progress = new Listener(log.Add);

        using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext), TinyTask.Data(mlContext));

        Assert.IsTrue(log.All(progress => progress.ValidationLoss is not null));
        Assert.HasCount(3, log);
        Assert.AreEqual(6, log[0].TotalSteps);
    }

    [TestMethod]
    [DataRow(nameof(Options.EvaluationSteps))]
    [DataRow(nameof(Options.EarlyStoppingPatience))]
    public void OptionsForValidationRowsNeedThem(string name)
    {
        var mlContext = new MLContext();
        Options options = TinyTask.Options();
        typeof(Options).GetProperty(name)!.SetValue(options, 2);

        string message = Assert.ThrowsExactly<ArgumentException>(
            () => mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext))).Message;

        Assert.Contains($"{name} is 2", message);
        Assert.Contains("Fit(train, validation)", message);
    }

    [TestMethod]
    public void ACancelledTokenEndsTraining()
    {
        var mlContext = new MLContext();
        using var source = new CancellationTokenSource();
        Options options = Running();
        options.CancellationToken = source.Token;
        int steps = 0;
        options.Progress = new Listener(_ =>
        {
            steps++;
            source.Cancel();
        });

        Assert.ThrowsExactly<OperationCanceledException>(() => mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext)));

        Assert.AreEqual(1, steps);
    }

    private static Options Running()
    {
        Options options = TinyTask.Options();
        options.NumberOfEpochs = 2;
        options.WarmupRatio = 0;
        return options;
    }

    private static List<SorsaTrainingProgress> Losses(Options options)
    {
        var mlContext = new MLContext();
        var log = new List<SorsaTrainingProgress>();
        options.Progress = new Listener(log.Add);
        using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext));
        return log;
    }

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
