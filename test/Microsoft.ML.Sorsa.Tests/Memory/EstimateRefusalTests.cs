using System.Diagnostics;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Memory;

/// <summary>What does not fit is refused before anything is loaded, and the error says what would fit.</summary>
[TestClass]
[TestCategory("Estimate")]
[DoNotParallelize]
public sealed class EstimateRefusalTests
{
    private const long Megabyte = 1 << 20;

    /// <summary>More than any machine has, in files that are nothing but a hole.</summary>
    private static readonly RandomSizes s_giant = new(8192, 22016, 400, 64, 64, 32000);

    private readonly MLContext _mlContext = new();
    private readonly List<(ChannelMessageKind Kind, string Text)> _log = [];

    public EstimateRefusalTests() => _mlContext.Log += (_, e) => _log.Add((e.Kind, e.RawMessage));

    [TestMethod]
    public void AFolderOfSevenBillionIsEstimatedFromItsHeaders()
    {
        using var folder = new TemporaryFolder();
        Options options = Large(RandomFolder.WriteHollow(folder.Path, RandomSizes.Llama2_7B));
        using var memory = new AllocatedMemory();
        var clock = Stopwatch.StartNew();

        SorsaMemoryEstimate estimate = _mlContext.Sorsa().Estimate(options, TinyTask.Data(_mlContext));

        Assert.IsLessThan(20, clock.Elapsed.TotalSeconds);
        Assert.IsLessThan(100 * Megabyte, AllocatedMemory.Peak);

        // The residuals of 224 matrices in float32, and the embedding, head and norms, which are stored in bfloat16.
        Assert.AreEqual(4 * 6_738_415_616L, estimate.Weights);
        Assert.AreEqual(319_844_352L, estimate.Gradients / 4);
        Assert.AreEqual(2 * estimate.Gradients, estimate.Moments);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void ATrainingThatDoesNotFitIsRefusedBeforeItsWeightsAreLoaded(bool map)
    {
        using var folder = new TemporaryFolder();
        Options options = Large(RandomFolder.WriteHollow(folder.Path, s_giant));
        options.MapWeights = map;
        using var memory = new AllocatedMemory();

        var error = Assert.ThrowsExactly<InsufficientMemoryException>(
            () => _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext)));

        Assert.Contains("Training needs ", error.Message);
        Assert.Contains("TiB of memory on cpu at its peak", error.Message);
        Assert.Contains("Quantization = NF4", error.Message);
        Assert.Contains("MemoryCheck", error.Message);
        Assert.IsLessThan(300 * Megabyte, AllocatedMemory.Peak);
        Assert.IsTrue(_log.Any(entry => entry.Kind == ChannelMessageKind.Info
            && entry.Text.StartsWith("Memory: training takes ", StringComparison.Ordinal)));
    }

    /// <summary>Whoever asked for the estimate can refuse as Fit does.</summary>
    [TestMethod]
    public void AnEstimateRefusesAsFitDoes()
    {
        using var folder = new TemporaryFolder();
        Options options = Large(RandomFolder.WriteHollow(folder.Path, s_giant));

        var error = Assert.ThrowsExactly<InsufficientMemoryException>(
            () => _mlContext.Sorsa().Estimate(options, TinyTask.Data(_mlContext)).VerifyFits());
        _mlContext.Sorsa().Estimate(TinyTask.Options(), TinyTask.Data(_mlContext)).VerifyFits();

        Assert.StartsWith("Training needs ", error.Message);
        Assert.Contains("Quantization = NF4", error.Message);
    }

    [TestMethod]
    public void ABaseModelThatDoesNotFitIsRefused()
    {
        using TemporaryFolder folder = new(), decompositions = new();
        Options options = Large(RandomFolder.WriteHollow(folder.Path, s_giant));

        var error = Assert.ThrowsExactly<InsufficientMemoryException>(
            () => _mlContext.Sorsa().OpenBaseModel(options, 128, decompositions.File("kept")));

        Assert.Contains("The weights of the model that trainings share take", error.Message);
    }

    /// <summary>The largest saving comes first, and every number is what the estimate says with that option.</summary>
    [TestMethod]
    public void TheRemediesAreTrueAndInOrder()
    {
        Options options = TinyTask.Options();
        (options.Rank, options.TargetModules, options.BatchSize) = (32, new Options().TargetModules, 12);
        var single = new Dictionary<string, Action<Options>>(StringComparer.Ordinal)
        {
            ["GradientCheckpointing = true"] = changed => changed.GradientCheckpointing = true,
            ["ComputeType = BFloat16"] = changed => changed.ComputeType = WeightType.BFloat16,
            ["Quantization = NF4"] = changed => changed.Quantization = BaseQuantization.NF4,
            ["Rank = 16"] = changed => changed.Rank = 16,
            ["BatchSize = 6 and GradientAccumulationSteps = 2"] =
                changed => (changed.BatchSize, changed.GradientAccumulationSteps) = (6, 2),
        };

        SorsaMemoryEstimate estimate = _mlContext.Sorsa().Estimate(options, TinyTask.Data(_mlContext));

        IReadOnlyList<SorsaMemoryRemedy> remedies = estimate.Remedies;
        Assert.AreEqual("all of these", remedies[^1].Change);
        CollectionAssert.AreEqual(
            remedies.SkipLast(1).Select(remedy => remedy.Peak).Order().ToArray(),
            remedies.SkipLast(1).Select(remedy => remedy.Peak).ToArray());
        Assert.IsTrue(remedies.SkipLast(1).All(remedy => remedy.Peak < estimate.Peak && remedy.Peak >= remedies[^1].Peak));
        foreach ((string change, Action<Options> act) in single)
        {
            SorsaMemoryRemedy remedy = remedies.Single(remedy => remedy.Change == change);
            Options changed = TinyTask.Options();
            (changed.Rank, changed.TargetModules, changed.BatchSize) = (options.Rank, options.TargetModules, options.BatchSize);
            act(changed);
            Assert.AreEqual(_mlContext.Sorsa().Estimate(changed, TinyTask.Data(_mlContext)).Peak, remedy.Peak, change);
        }
    }

    [TestMethod]
    public void WhatIsRefusedNamesTheFreeMemoryAndTheParts()
    {
        var error = Assert.ThrowsExactly<InsufficientMemoryException>(
            () => Train(TinyTask.Options(), new AvailableMemory(Megabyte, "a test says so")).Dispose());

        Assert.Contains("and 1 MiB are free there, since a test says so", error.Message);
        Assert.Contains("activations ", error.Message);
        Assert.Contains("What would take less: ", error.Message);
    }

    [TestMethod]
    public void ToldOtherwiseItTrainsAndWarns()
    {
        Options options = TinyTask.Options();
        options.MemoryCheck = false;

        Train(options, new AvailableMemory(Megabyte, "a test says so")).Dispose();

        Assert.IsTrue(_log.Any(entry => entry.Kind == ChannelMessageKind.Warning
            && entry.Text.Contains("MemoryCheck is false", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void WhereNothingCanBeAskedItTrainsAndTheLogSaysSo()
    {
        Train(TinyTask.Options(), null).Dispose();

        Assert.IsTrue(_log.Any(entry => entry.Kind == ChannelMessageKind.Info
            && entry.Text.Contains("what is free there cannot be asked", StringComparison.Ordinal)));
    }

    /// <summary>Without rows it is the longest ones that the options allow, which no rows exceed.</summary>
    [TestMethod]
    public void WithoutRowsTheLongestCount()
    {
        Options options = TinyTask.Options();
        (options.MaxPromptLength, options.MaxResponseLength) = (100, 50);

        SorsaMemoryEstimate longest = _mlContext.Sorsa().Estimate(options);
        SorsaMemoryEstimate rows = _mlContext.Sorsa().Estimate(options, TinyTask.Data(_mlContext));

        Assert.Contains("4 × 150 tokens with 200 labels", longest.ToString());
        Assert.IsGreaterThan(rows.Activations, longest.Activations);
        Assert.AreEqual(0, longest.ValidationPeak);
        Assert.IsGreaterThan(
            0, _mlContext.Sorsa().Estimate(options, TinyTask.Data(_mlContext), TinyTask.Data(_mlContext)).ValidationPeak);
    }

    [TestMethod]
    public void AFolderWithoutWeightsIsNamed()
    {
        using var folder = new TemporaryFolder();
        RandomFolder.WriteWithoutWeights(folder.Path, s_giant);

        var error = Assert.ThrowsExactly<FileNotFoundException>(() => _mlContext.Sorsa().Estimate(Large(folder.Path)));

        Assert.Contains(folder.Path, error.Message);
        Assert.Contains("has neither model.safetensors nor model.safetensors.index.json", error.Message);
    }

    [TestMethod]
    public void WhatFitRefusesIsRefused()
    {
        Options options = TinyTask.Options();
        IDataView empty = _mlContext.Data.LoadFromEnumerable(new[] { new TinyTask.Row { Prompt = " ", Response = "x" } });

        Assert.ThrowsExactly<InvalidOperationException>(() => _mlContext.Sorsa().Estimate(options, empty));
        Assert.ThrowsExactly<ArgumentNullException>(() => _mlContext.Sorsa().Estimate(null!));
        options.ResponseColumnName = "Nothing";
        Assert.Throws<ArgumentException>(() => _mlContext.Sorsa().Estimate(options, TinyTask.Data(_mlContext)));
        (options.ResponseColumnName, options.Rank) = ("Response", 100000);
        Assert.Throws<ArgumentException>(() => _mlContext.Sorsa().Estimate(options));
        (options.Rank, options.ModelFolder) = (4, "nowhere");
        Assert.Throws<IOException>(() => _mlContext.Sorsa().Estimate(options));
    }

    private static Options Large(string folder) => new()
    {
        ModelFolder = folder,
        Rank = 128,
        BatchSize = 1,
        PromptTemplate = PromptTemplate.Format("{prompt}"),
    };

    private FineTunedModel Train(Options options, AvailableMemory? free)
    {
        FineTuningSettings settings = options.ToSettings();
        using IChannel channel = ((IHostEnvironment)_mlContext).Start("a test");
        using var start = new FolderModel(settings, DecoderConfig.Load(settings.ModelFolder), CPU);
        var run = new FineTuningRun(channel, settings, start) { Group = TrainingGroup.Alone, Available = _ => free };
        var prompts = new PromptEncoder(start.Tokenizer, settings.PromptTemplate, settings.MaxPromptLength);
        return run.Train(run.Encode(prompts, TinyTask.Rows.Select(row => (row.Prompt, row.Response)), "rows"), null);
    }
}
