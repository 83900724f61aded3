using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Memory;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>Gradient checkpointing and the loss in chunks: less memory, the same gradients.</summary>
[TestClass]
[TestCategory("Checkpointing")]
[TestCategory("Numeric")]
public sealed class CheckpointingTests
{
    private static readonly ScalarType[] s_types = [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float64];
    private static readonly FineTuningMethod[] s_methods = [FineTuningMethod.Sorsa, FineTuningMethod.Full];
    private static readonly int[] s_sizes = [1, 3, 7, 512];
    private static readonly string[] s_kinds = ["window", "one layer", "one head", "tied", "stored in float16", "bfloat16"];
    private static readonly bool[] s_both = [false, true];

    public static IEnumerable<object[]> Runs =>
        from method in Enum.GetValues<FineTuningMethod>()
        from type in s_types
        from quantized in s_both
        where !quantized || MethodCatalog.Get(method).Has(nameof(MethodSettings.Quantization))
        select new object[] { method, type, quantized };

    [TestMethod]
    [DynamicData(nameof(Runs))]
    public void GradientsAreTheSameToTheBit(FineTuningMethod method, ScalarType type, bool quantized)
    {
        (double plainLoss, double[] plain) = Gradients(method, type, quantized, checkpointing: false);
        (double loss, double[] checkpointed) = Gradients(method, type, quantized, checkpointing: true);

        Assert.AreEqual(plainLoss, loss);
        CollectionAssert.AreEqual(plain, checkpointed);
        Assert.IsTrue(plain.Any(value => value != 0));
    }

    /// <summary>A rank and sizes that <see cref="TallSkinnyProduct"/> fits on a CPU, with dropout's mask and without.</summary>
    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa, false, 0.0)]
    [DataRow(FineTuningMethod.Sorsa, true, 0.3)]
    [DataRow(FineTuningMethod.Lora, false, 0.3)]
    [DataRow(FineTuningMethod.Dora, false, 0.0)]
    public void SoAreThoseOfRank16(FineTuningMethod method, bool quantized, double dropout)
    {
        (double Loss, double[] Gradients)[] both = [.. s_both.Select(checkpointing =>
        {
            using CausalLM model = TinyModel.Create(Config("llama", 2, 4, 4, intermediate: 32));
            AdapterSet adapters = Adapt(model, method, dropout, quantized, rank: 16);
            model.GradientCheckpointing = checkpointing;
            return Backward(model, adapters, 512);
        })];

        Assert.AreEqual(both[0].Loss, both[1].Loss);
        CollectionAssert.AreEqual(both[0].Gradients, both[1].Gradients);
        Assert.IsTrue(both[0].Gradients.Any(value => value != 0));
    }

    /// <summary>Only some projections of some kinds are adapted, and the first layers have no gradient at their input.</summary>
    [TestMethod]
    [DataRow("q_proj")]
    [DataRow("o_proj")]
    [DataRow("down_proj")]
    [DataRow("gate_proj,up_proj")]
    public void SomeTargetsAlone(string targets)
    {
        double[][] gradients = [.. s_both.Select(checkpointing =>
        {
            using CausalLM model = TinyModel.Create();
            AdapterSet adapters = TinyModel.Adapt(model, targets: targets.Split(','));
            model.GradientCheckpointing = checkpointing;
            return Backward(model, adapters, 512).Gradients;
        })];

        CollectionAssert.AreEqual(gradients[0], gradients[1]);
    }

    public static IEnumerable<object[]> Trainings =>
        from method in Enum.GetValues<FineTuningMethod>()
        from kind in s_kinds
        select new object[] { method, kind };

    /// <summary>Several steps over padded micro-batches, with dropout and all that a method does between steps.</summary>
    [TestMethod]
    [DynamicData(nameof(Trainings))]
    public void ATrainingComesToTheSameBits(FineTuningMethod method, string kind)
    {
        double[][] values = [.. s_both.Select(checkpointing =>
        {
            using CausalLM model = Model(kind);
            AdapterSet adapters = Adapt(model, method, dropout: 0.2);
            model.GradientCheckpointing = checkpointing;
            SupervisedExample[] rows = TinyModel.Rows(14);
            var plan = new BatchPlan(rows, 3, 2, seed: 1);
            double[] start = TinyModel.Values(adapters);
            List<double> losses = [];
            double Validate() => SupervisedLoss.Mean(model, TinyModel.Rows(4, seed: 8), 2, 0, 3);
            TrainingSettings settings = TinyModel.Settings with { LogitsChunkSize = 4, EvaluationSteps = 1, WarmupRatio = 0 };
            new TrainingLoop(model, adapters, settings).Run(
                plan.Epoch(0), plan.StepsPerEpoch, Validate,
                step => losses.AddRange(step.Loss, step.GradientNorm, step.ValidationLoss!.Value), default);
            double[] trained = TinyModel.Values(adapters);
            CollectionAssert.AreNotEqual(start, trained);
            return (double[])[.. losses, .. trained];
        })];

        CollectionAssert.AreEqual(values[0], values[1]);
    }

    /// <summary>Where nothing trains in a layer, it is computed once and nothing comes of it.</summary>
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    public void OneLayerAlone(int layer)
    {
        double[][] gradients = [.. s_both.Select(checkpointing =>
        {
            using CausalLM model = TinyModel.Create();
            using var generator = new Generator(5);
            MethodDescriptor lora = MethodCatalog.Get(FineTuningMethod.Pissa);
            AdapterSet adapters = AdapterSet.Inject(
                model.Projections.Where(slot => slot.Path.Contains($".{layer}.", StringComparison.Ordinal))
                    .Select(slot => new ProjectionTarget(slot, model.Type)),
                lora.Create(new MethodSettings { Rank = 4 }, new MethodRun(10, generator, Decomposition.Drawn(generator), Seed: 7)));
            model.GradientCheckpointing = checkpointing;
            return Backward(model, adapters, 512).Gradients;
        })];

        CollectionAssert.AreEqual(gradients[0], gradients[1]);
        Assert.IsTrue(gradients[0].Any(value => value != 0));
    }

    /// <summary>Between forward and backward only the input of each block is kept, two tensors a layer.</summary>
    [TestMethod]
    [DoNotParallelize]
    public void OnlyTheInputsOfBlocksAreKept()
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Inconclusive("AllocatedMemory finds libtorch's allocator on Linux.");
        }

        long width = 16, layers = 2, batch = 64, tokens = 60;
        (long plain, long checkpointed) = (Kept(false), Kept(true));

        // And once more at the end, where the last norm's input is; angles and mask do not depend on the layers.
        long block = batch * tokens * width * sizeof(float);
        Assert.IsLessThan(((2 * layers) + 6) * block, checkpointed);
        Assert.IsGreaterThan(5 * checkpointed, plain);

        long Kept(bool checkpointing)
        {
            using var scope = NewDisposeScope();
            using CausalLM model = TinyModel.Create();
            TinyModel.Adapt(model);
            model.GradientCheckpointing = checkpointing;
            Tensor ids = zeros([batch, tokens], ScalarType.Int64).OnDevice();

            // What other tests left would be freed meanwhile.
            GC.Collect();
            GC.WaitForPendingFinalizers();
            using var memory = new AllocatedMemory();
            Tensor hidden = model.Forward(model.Embed(ids));
            Assert.IsTrue(hidden.requires_grad);
            return AllocatedMemory.Now;
        }
    }

    public static IEnumerable<object[]> Chunks =>
        from size in s_sizes
        from method in s_methods
        from tied in s_both
        select new object[] { size, method, tied };

    /// <summary>Against libtorch's own differentiation of the whole loss at once.</summary>
    [TestMethod]
    [DynamicData(nameof(Chunks))]
    public void TheLossInChunksHasTheGradientOfTheWhole(int size, FineTuningMethod method, bool tied)
    {
        using var scope = NewDisposeScope();
        using CausalLM model = TinyModel.Create(tied: tied), other = TinyModel.Create(tied: tied);
        (double loss, double[] gradients) = Backward(model, Adapt(model, method), size);

        AdapterSet adapters = Adapt(other, method);
        using Batch batch = Batch.Of(TinyModel.Rows(5), 0, TestDevice.Current);
        Tensor hidden = other.Forward(other.Embed(batch.InputIds)).flatten(0, 1).index_select(0, batch.LabelPositions);
        Tensor whole = nn.functional.cross_entropy(other.Logits(hidden), batch.Targets);
        whole.backward();

        double[] expected = Values(adapters);
        double largest = expected.Max(Math.Abs);
        Assert.AreEqual(whole.to(ScalarType.Float64).item<double>(), loss, 1e-6);
        Assert.HasCount(expected.Length, gradients);
        Assert.IsLessThan(1e-6, expected.Zip(gradients, (a, b) => Math.Abs(a - b)).Max() / largest);
    }

    [TestMethod]
    public void NoMoreRowsThanAChunkAreScoredAtOnce()
    {
        using CausalLM model = TinyModel.Create();
        AdapterSet adapters = TinyModel.Adapt(model);
        var watched = new WatchedModel(model);
        using Batch batch = Batch.Of(TinyModel.Rows(6), 0, TestDevice.Current);
        using Tensor loss = SupervisedLoss.Backward(watched, batch, 1, chunkSize: 4);
        double mean = SupervisedLoss.Mean(watched, TinyModel.Rows(6), 6, 0, chunkSize: 4);

        Assert.AreEqual(4, watched.Scored.Max());
        Assert.AreEqual(2 * batch.LabelCount, watched.Scored.Sum());
        Assert.AreEqual(loss.item<double>() / batch.LabelCount, mean, 1e-6);
        Assert.IsTrue(adapters.Trainable.All(named => named.Value.grad is not null));
    }

    private static CausalLM Model(string kind) => kind switch
    {
        "tied" => TinyModel.Create(bias: true, tied: true),
        "stored in float16" => TinyModel.Create(stored: ScalarType.Float16),
        "bfloat16" => TinyModel.Create(ScalarType.BFloat16),
        "window" => TinyModel.Create(Config("mistral", 2, 4, 2, ", \"sliding_window\": 3")),
        "one layer" => TinyModel.Create(Config("llama", 1, 4, 4)),
        "one head" => TinyModel.Create(Config("llama", 2, 1, 1)),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    private static DecoderConfig Config(
        string family, int layers, int heads, int keyValueHeads, string more = "", int intermediate = 24) => DecoderConfig.Parse(
        Encoding.UTF8.GetBytes($$"""
            {"model_type": "{{family}}", "vocab_size": {{TinyModel.VocabularySize}}, "hidden_size": 16,
             "intermediate_size": {{intermediate}}, "num_hidden_layers": {{layers}}, "num_attention_heads": {{heads}},
             "num_key_value_heads": {{keyValueHeads}}, "max_position_embeddings": 64{{more}}}
            """),
        "config.json");

    private static (double Loss, double[] Gradients) Gradients(FineTuningMethod method, ScalarType type, bool quantized, bool checkpointing)
    {
        using CausalLM model = TinyModel.Create(type, bias: true, stored: ScalarType.Float32);
        AdapterSet adapters = Adapt(model, method, dropout: 0.3, quantized);
        model.GradientCheckpointing = checkpointing;
        return Backward(model, adapters, 512);
    }

    private static AdapterSet Adapt(
        CausalLM model, FineTuningMethod method, double dropout = 0, bool quantized = false, int rank = 4)
    {
        using var generator = new Generator(5);
        MethodDescriptor descriptor = MethodCatalog.Get(method);
        var settings = new MethodSettings
        {
            Rank = descriptor.Has(nameof(MethodSettings.Rank)) ? rank : null,
            Dropout = descriptor.Has(nameof(MethodSettings.Dropout)) ? dropout : 0,
            Quantization = quantized ? BaseQuantization.NF4 : BaseQuantization.None,
        };
        var run = new MethodRun(10, generator, Decomposition.Drawn(generator), Seed: 7);
        AdapterSet adapters = AdapterSet.Inject(model, TinyModel.Targets, descriptor.Create(settings, run));

        // A start of zeros would have gradients of zeros.
        using var noGrad = no_grad();
        foreach ((_, Parameter value) in adapters.Trainable)
        {
            value.add_(randn(value.shape, value.dtype, generator: generator).OnDevice() * 0.05);
        }

        return adapters;
    }

    private static (double Loss, double[] Gradients) Backward(CausalLM model, AdapterSet adapters, int chunkSize)
    {
        model.train();
        using Batch batch = Batch.Of(TinyModel.Rows(5), 0, TestDevice.Current);
        using Tensor loss = SupervisedLoss.Backward(model, batch, 1.0 / batch.LabelCount, chunkSize);
        return (loss.item<double>(), Values(adapters));
    }

    private static double[] Values(AdapterSet adapters) => [.. adapters.Trainable.SelectMany(named =>
        named.Value.grad!.to(ScalarType.Float64).flatten().cpu().data<double>().ToArray())];

    /// <summary>Counts the rows that are scored.</summary>
    private sealed class WatchedModel(CausalLM model) : ITrainedModel
    {
        public List<long> Scored { get; } = [];

        public bool GradientCheckpointing { get => model.GradientCheckpointing; set => model.GradientCheckpointing = value; }

        public Device Device => model.Device;

        public IReadOnlyList<KeyValuePair<string, Tensor>> NamedWeights => model.NamedWeights;

        public Tensor Hidden(Tensor inputIds, Tensor positions) => model.Hidden(inputIds, positions);

        public Tensor Head(Tensor hidden)
        {
            Scored.Add(hidden.shape[0]);
            return model.Head(hidden);
        }

        public void train(bool on = true) => model.train(on);
    }
}
