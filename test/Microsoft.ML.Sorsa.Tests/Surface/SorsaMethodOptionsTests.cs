using Microsoft.ML;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.AdaLora;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Dora;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Pissa;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>One property changes the method; what does not belong to it, or does not fit together, is an error.</summary>
[TestClass]
[TestCategory("Surface")]
[TestCategory("Methods")]
public sealed class SorsaMethodOptionsTests
{
    private static readonly FineTuningMethod[] LowRank =
        [FineTuningMethod.Sorsa, FineTuningMethod.Lora, FineTuningMethod.RsLora, FineTuningMethod.Pissa, FineTuningMethod.Dora,
            FineTuningMethod.AdaLora];

    /// <summary>An option, a value of it that is not the default, and the methods that it belongs to.</summary>
    private static readonly (string Name, object Value, FineTuningMethod[] Methods)[] Belongings =
    [
        (nameof(Options.Rank), 4, [.. LowRank, FineTuningMethod.GaLore]),
        (nameof(Options.Alpha), 8.0, LowRank),
        (nameof(Options.Dropout), 0.1, LowRank),
        (nameof(Options.Quantization), BaseQuantization.NF4, LowRank),
        (nameof(Options.Gamma), 0.0, [FineTuningMethod.Sorsa, FineTuningMethod.AdaLora]),
        (nameof(Options.RegularizerReduction), RegularizerReduction.Sum, [FineTuningMethod.Sorsa]),
        (nameof(Options.Triplets), SingularTriplets.Trailing, [FineTuningMethod.Sorsa]),
        (nameof(Options.HardOrthonormality), true, [FineTuningMethod.Sorsa]),
        (nameof(Options.RankBudget), new RankBudget(), [FineTuningMethod.AdaLora]),
        (nameof(Options.GradientProjection), new GradientProjection(), [FineTuningMethod.GaLore]),
        (nameof(Options.LayerSampling), new LayerSampling(), [FineTuningMethod.Lisa]),
        (nameof(Options.TargetModules), new[] { "q_proj" }, [.. LowRank, FineTuningMethod.Partial, FineTuningMethod.GaLore]),
    ];

    public static IEnumerable<object[]> Pairs =>
        from method in Enum.GetValues<FineTuningMethod>()
        from option in Belongings
        select new object[] { method, option.Name };

    public static IEnumerable<object[]> Methods => Enum.GetValues<FineTuningMethod>().Select(method => new object[] { method });

    [TestMethod]
    [DynamicData(nameof(Pairs))]
    public void AnOptionThatDoesNotBelongToTheMethodIsRefused(FineTuningMethod method, string name)
    {
        (_, object value, FineTuningMethod[] methods) = Belongings.Single(option => option.Name == name);
        var options = new Options { ModelFolder = TestData.TinyLlama, Method = method };
        typeof(Options).GetProperty(name)!.SetValue(options, value);

        if (methods.Contains(method))
        {
            Assert.IsNotNull(new MLContext().Sorsa().FineTune(options));
            return;
        }

        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(() => new MLContext().Sorsa().FineTune(options));
        Assert.AreEqual(name, error.ParamName);
        Assert.MatchesRegex($@"^{name} is .+; it does not belong to Method {method}\. Leave it at its default", error.Message);
    }

    public static IEnumerable<object[]> Misfits =>
    [
        ["SliceStart is 2, and Triplets is Leading", With(options => options.SliceStart = 2)],
        ["SliceStart is null, and Triplets is Slice, which needs a start of at least 0",
            With(options => options.Triplets = SingularTriplets.Slice)],
        ["SliceStart is -1, and Triplets is Slice", With(options => (options.Triplets, options.SliceStart) = (SingularTriplets.Slice, -1))],
        ["allows ranks from 1 to 128",
            With(options => (options.Triplets, options.SliceStart, options.Rank) = (SingularTriplets.Slice, 120, 9))],
        ["Gamma is 0.0004, and HardOrthonormality leaves no deviation to penalise",
            With(options => (options.HardOrthonormality, options.Gamma) = (true, 4e-4))],
        ["QuantizationRounds is 2, and Quantization is None", With(options => options.QuantizationRounds = 2)],
        ["QuantizationRounds is 0; it must be at least 1",
            With(options => (options.Quantization, options.QuantizationRounds) = (BaseQuantization.NF4, 0))],
        ["QuantizationRounds is 2; it does not belong to Method Lora",
            With(options =>
                (options.Method, options.Quantization, options.QuantizationRounds) = (FineTuningMethod.Lora, BaseQuantization.NF4, 2))],
        ["ComputeType is BFloat16, and Full trains every weight in it",
            With(options => (options.Method, options.ComputeType) = (FineTuningMethod.Full, WeightType.BFloat16))],
        ["ComputeType is BFloat16, and Lisa trains every weight in it",
            With(options => (options.Method, options.ComputeType) = (FineTuningMethod.Lisa, WeightType.BFloat16))],
        ["ComputeType is Checkpoint, and GaLore trains every weight in it",
            With(options => (options.Method, options.ComputeType) = (FineTuningMethod.GaLore, WeightType.Checkpoint))],
        ["Method is 99; it must be one of Sorsa, Lora", With(options => options.Method = (FineTuningMethod)99)],
        ["Triplets is 99; it must be one of Leading", With(options => options.Triplets = (SingularTriplets)99)],
        ["Quantization is 99; it must be one of None", With(options => options.Quantization = (BaseQuantization)99)],
        ["RankBudget.TargetRank is 17; it must be from 1 to Rank, 16", Budget(new RankBudget { TargetRank = 17 })],
        ["RankBudget.TargetRank is 0; it must be from 1 to Rank, 16", Budget(new RankBudget { TargetRank = 0 })],
        ["RankBudget.WarmupSteps is -1; it must be at least 0", Budget(new RankBudget { WarmupSteps = -1 })],
        ["RankBudget.FinalSteps is -1; it must be at least 0", Budget(new RankBudget { FinalSteps = -1 })],
        ["RankBudget.Interval is 0; it must be at least 1", Budget(new RankBudget { Interval = 0 })],
        ["RankBudget.Beta1 is 1; it must be at least 0 and below 1", Budget(new RankBudget { Beta1 = 1 })],
        ["RankBudget.Beta2 is NaN; it must be at least 0 and below 1", Budget(new RankBudget { Beta2 = double.NaN })],
        ["GradientProjection.UpdateSteps is 0; it must be at least 1", Projection(new GradientProjection { UpdateSteps = 0 })],
        ["GradientProjection.Scale is 0; it must be above 0", Projection(new GradientProjection { Scale = 0 })],
        ["GradientProjection.Scale is -1; it must be above 0", Projection(new GradientProjection { Scale = -1 })],
        ["GradientProjection.Scale is NaN; it must be above 0", Projection(new GradientProjection { Scale = double.NaN })],
        ["GradientProjection.Scale is Infinity; it must be above 0",
            Projection(new GradientProjection { Scale = double.PositiveInfinity })],
        ["LayerSampling.Layers is 0; it must be at least 1", Sampling(new LayerSampling { Layers = 0 })],
        ["LayerSampling.Layers is 7; it must be from 1 to the 6 layers of the model. Leave it null for 2",
            Sampling(new LayerSampling { Layers = 7 })],
        ["LayerSampling.IntervalSteps is 0; it must be at least 1", Sampling(new LayerSampling { IntervalSteps = 0 })],
    ];

    [TestMethod]
    [DynamicData(nameof(Misfits))]
    public void OptionsThatDoNotFitTogetherAreRefused(string message, Action<Options> set)
    {
        var options = new Options { ModelFolder = TestData.TinyLlama };
        set(options);

        ArgumentException error = Assert.Throws<ArgumentException>(() => new MLContext().Sorsa().FineTune(options));

        Assert.Contains(message, error.Message);
        Assert.MatchesRegex(@"\. [A-Z].+\.", error.Message, "a remedy follows");
    }

    [TestMethod]
    public void ABudgetThatDoesNotFitTheStepsIsRefused()
    {
        var mlContext = new MLContext();
        Options options = TinyTask.Options();
        (options.Method, options.RankBudget) = (FineTuningMethod.AdaLora, new RankBudget { WarmupSteps = 2, FinalSteps = 1 });

        ArgumentException error = Assert.ThrowsExactly<ArgumentException>(
            () => mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext)));

        Assert.Contains("WarmupSteps is 2 and RankBudget.FinalSteps 1; together they must be below the 3 steps", error.Message);
    }

    /// <summary>The numbers of the papers and of PEFT, where nothing is set.</summary>
    [TestMethod]
    public void DefaultsAreTheMethodsOwn()
    {
        using var generator = new Generator(0);
        Assert.AreEqual(
            (16, 1.0, 4e-4, 0),
            Create<SorsaMethod>(new Options()) is var sorsa ? (sorsa.Rank, sorsa.Scale, sorsa.Gamma, sorsa.FirstTriplet) : default);
        Assert.AreEqual(0, Create<SorsaMethod>(new Options { HardOrthonormality = true }).Gamma);
        Assert.AreEqual(1.0, Create<LoraMethod>(new Options { Method = FineTuningMethod.Lora }).Scale);
        Assert.AreEqual(4.0, Create<LoraMethod>(new Options { Method = FineTuningMethod.RsLora }).Scale);
        Assert.AreEqual(8 / Math.Sqrt(4), Create<LoraMethod>(new Options { Method = FineTuningMethod.RsLora, Rank = 4, Alpha = 8 }).Scale);
        Assert.AreEqual(1.0, Create<DoraMethod>(new Options { Method = FineTuningMethod.Dora }).Scale);
        Assert.AreEqual(1.0, Create<PissaMethod>(new Options { Method = FineTuningMethod.Pissa }).Scale);
        Assert.AreEqual(
            (0.5, 16.0, new RankBudget()),
            Create<AdaLoraMethod>(new Options { Method = FineTuningMethod.AdaLora }) is var ada
                ? (ada.Gamma, ada.Alpha, ada.Budget)
                : default);

        T Create<T>(Options options) where T : AdapterMethod => options.ToSettings() is var settings
            ? (T)settings.Method.Create(settings.MethodSettings, new MethodRun(10, generator, Decomposition.Drawn(generator), Seed: 1))
            : throw new InvalidOperationException();
    }

    /// <summary>From rows to an answer and back from a zip: the same for every method.</summary>
    [TestMethod]
    [DynamicData(nameof(Methods))]
    public void EveryMethodTrainsMergesAndSaves(FineTuningMethod method)
    {
        var mlContext = new MLContext();
        Options options = TinyTask.Options();
        options.Method = method;
        options.NumberOfEpochs = 8;
        if (!options.HasEffect(nameof(Options.Rank)))
        {
            (options.Rank, options.LearningRate) = (null, 5e-4);
        }

        if (method == FineTuningMethod.AdaLora)
        {
            options.LearningRate = 5e-2;
        }

        options.TargetModules = !options.HasEffect(nameof(Options.TargetModules)) ? new Options().TargetModules : options.TargetModules;
        var log = new List<SorsaTrainingProgress>();
        options.Progress = new Log(log);
        IDataView data = TinyTask.Data(mlContext);

        using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(data);
        using var zip = new MemoryStream();
        mlContext.Model.Save(model, data.Schema, zip);
        zip.Position = 0;
        using var loaded = (SorsaTransformer)mlContext.Model.Load(zip, out _);

        Assert.IsLessThan(0.7 * log[0].Loss, log[^1].Loss);
        CollectionAssert.AreEqual(TinyTask.LogitBits(model.Model.Network), TinyTask.LogitBits(loaded.Model.Network));
        Assert.IsNotEmpty(model.MergeReport!.Matrices);
        Assert.IsNull(loaded.MergeReport);
    }

    public static IEnumerable<object[]> Effects =>
    [
        ["Triplets", Of(FineTuningMethod.Sorsa), With(options => options.Triplets = SingularTriplets.Trailing)],
        ["SliceStart", With(options => (options.Triplets, options.SliceStart) = (SingularTriplets.Slice, 3)),
            With(options => (options.Triplets, options.SliceStart) = (SingularTriplets.Slice, 4))],
        ["HardOrthonormality", With(options => options.Gamma = 0), With(options => options.HardOrthonormality = true)],
        ["Quantization", Of(FineTuningMethod.Sorsa), With(options => options.Quantization = BaseQuantization.NF4)],
        ["Quantization of PiSSA", Of(FineTuningMethod.Pissa),
            With(options => (options.Method, options.Quantization) = (FineTuningMethod.Pissa, BaseQuantization.NF4))],
        ["QuantizationRounds", With(options => options.Quantization = BaseQuantization.NF4),
            With(options => (options.Quantization, options.QuantizationRounds) = (BaseQuantization.NF4, 3))],
        ["QuantizationRounds of PiSSA",
            With(options => (options.Method, options.Quantization) = (FineTuningMethod.Pissa, BaseQuantization.NF4)),
            With(options =>
                (options.Method, options.Quantization, options.QuantizationRounds) = (FineTuningMethod.Pissa, BaseQuantization.NF4, 3))],
        ["Dropout of LoRA", Of(FineTuningMethod.Lora), With(options => (options.Method, options.Dropout) = (FineTuningMethod.Lora, 0.3))],
        ["Alpha of LoRA", Of(FineTuningMethod.Lora), With(options => (options.Method, options.Alpha) = (FineTuningMethod.Lora, 9))],
        ["Alpha of DoRA", Of(FineTuningMethod.Dora), With(options => (options.Method, options.Alpha) = (FineTuningMethod.Dora, 9))],
        ["Alpha of AdaLoRA", Of(FineTuningMethod.AdaLora),
            With(options => (options.Method, options.Alpha) = (FineTuningMethod.AdaLora, 9))],
        ["Gamma of AdaLoRA", Of(FineTuningMethod.AdaLora),
            With(options => (options.Method, options.Gamma) = (FineTuningMethod.AdaLora, 0.9))],
        ["TargetRank", Of(FineTuningMethod.AdaLora), Budget(new RankBudget { TargetRank = 1 })],
        ["WarmupSteps", Of(FineTuningMethod.AdaLora), Budget(new RankBudget { WarmupSteps = 7 })],
        ["FinalSteps", Of(FineTuningMethod.AdaLora), Budget(new RankBudget { FinalSteps = 7 })],
        ["Interval", Of(FineTuningMethod.AdaLora), Budget(new RankBudget { Interval = 5 })],
        ["Beta1", Of(FineTuningMethod.AdaLora), Budget(new RankBudget { Beta1 = 0.05 })],
        ["Beta2", Of(FineTuningMethod.AdaLora), Budget(new RankBudget { Beta2 = 0.05 })],
        ["Rank of GaLore", Of(FineTuningMethod.GaLore), With(options => (options.Method, options.Rank) = (FineTuningMethod.GaLore, 5))],
        ["TargetModules of GaLore", Of(FineTuningMethod.GaLore),
            With(options => (options.Method, options.TargetModules) = (FineTuningMethod.GaLore, ["q_proj"]))],
        ["UpdateSteps", Of(FineTuningMethod.GaLore), Projection(new GradientProjection { UpdateSteps = 3 })],
        ["Scale", Of(FineTuningMethod.GaLore), Projection(new GradientProjection { Scale = 0.5 })],
        ["TargetsOnly", Of(FineTuningMethod.GaLore), Projection(new GradientProjection { TargetsOnly = true })],
        ["Layers", Sampling(new LayerSampling()), Sampling(new LayerSampling { Layers = 3 })],
        ["IntervalSteps", Sampling(new LayerSampling()), Sampling(new LayerSampling { IntervalSteps = 3 })],
    ];

    /// <summary>Two runs that one value tells apart end with other weights.</summary>
    [TestMethod]
    [DynamicData(nameof(Effects))]
    public void EveryOptionOfAMethodIsRead(string name, Action<Options> plain, Action<Options> changed)
    {
        CollectionAssert.AreNotEqual(Bits(plain), Bits(changed), name);

        static int[] Bits(Action<Options> set)
        {
            var mlContext = new MLContext();
            Options options = TinyTask.Options();
            (options.NumberOfEpochs, options.LearningRate) = (4, 0.02);
            set(options);
            using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext));
            return TinyTask.LogitBits(model.Model.Network);
        }
    }

    /// <summary>Attach's options are the trainer's, each under its own name.</summary>
    [TestMethod]
    public void OptionsOfAttachReachTheRulesAndTheMethod()
    {
        var attach = new SorsaAdapterOptions
        {
            Method = FineTuningMethod.Sorsa,
            Rank = 3,
            Alpha = 5,
            Gamma = 0.25,
            RegularizerReduction = RegularizerReduction.Sum,
            Triplets = SingularTriplets.Slice,
            SliceStart = 2,
            Seed = 7,
        };

        (MethodDescriptor method, MethodSettings settings) = attach.ToSettings();

        Assert.AreEqual(FineTuningMethod.Sorsa, method.Method);
        foreach (System.Reflection.PropertyInfo property in typeof(MethodSettings).GetProperties())
        {
            if (typeof(SorsaAdapterOptions).GetProperty(property.Name) is { } option)
            {
                Assert.AreEqual(option.GetValue(attach), property.GetValue(settings), property.Name);
            }
        }

        Assert.IsTrue(new SorsaAdapterOptions { HardOrthonormality = true }.ToSettings().Settings.HardOrthonormality);
    }

    private static Action<Options> Of(FineTuningMethod method) => options => options.Method = method;

    private static Action<Options> With(Action<Options> set) => set;

    private static Action<Options> Budget(RankBudget budget) =>
        options => (options.Method, options.RankBudget) = (FineTuningMethod.AdaLora, budget);

    private static Action<Options> Projection(GradientProjection projection) =>
        options => (options.Method, options.GradientProjection) = (FineTuningMethod.GaLore, projection);

    private static Action<Options> Sampling(LayerSampling sampling) =>
        options => (options.Method, options.Rank, options.TargetModules, options.LayerSampling) =
            (FineTuningMethod.Lisa, null, new Options().TargetModules, sampling);

    private sealed class Log(List<SorsaTrainingProgress> log) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => log.Add(value);
    }
}
