using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Lisa;
using Microsoft.ML.Sorsa.Adapters.Weights;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Decoder = Microsoft.ML.Sorsa.Models.Decoder;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>LISA: which layers it draws, that these and no others train, and what it keeps of them.</summary>
[TestClass]
[TestCategory("Lisa")]
[TestCategory("Methods")]
[TestCategory("Numeric")]
public sealed class LisaTests
{
    private const int Layers = 5;

    private static readonly bool[] s_both = [false, true];

    private static readonly DecoderConfig s_config = DecoderConfig.Parse(
        Encoding.UTF8.GetBytes($$"""
            {"model_type": "llama", "vocab_size": {{TinyModel.VocabularySize}}, "hidden_size": 16, "intermediate_size": 24,
             "num_hidden_layers": {{Layers}}, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
             "attention_bias": true, "tie_word_embeddings": false}
            """),
        "config.json");

    [TestMethod]
    [DataRow(1, 1)]
    [DataRow(2, 3)]
    [DataRow(5, 7)]
    public void ADrawFollowsFromSeedAndIntervalAlone(int count, int interval)
    {
        var sampling = new LayerSampling { Layers = count, IntervalSteps = interval };
        IReadOnlyList<int>[] draws = [.. Enumerable.Range(0, 100).Select(step => sampling.At(step, seed: 3, Layers))];

        for (int step = 0; step < draws.Length; step++)
        {
            Assert.HasCount(count, draws[step]);
            CollectionAssert.AreEqual(draws[step].Distinct().Order().ToArray(), draws[step].ToArray());
            Assert.IsTrue(draws[step].All(layer => layer is >= 0 and < Layers));
            CollectionAssert.AreEqual(draws[step - (step % interval)].ToArray(), draws[step].ToArray());
            CollectionAssert.AreEqual(draws[step].ToArray(), sampling.At(step, seed: 3, Layers).ToArray());
        }

        if (count < Layers)
        {
            Assert.IsGreaterThan(1, draws.Select(draw => string.Join(' ', draw)).Distinct().Count());
            Assert.IsTrue(Enumerable.Range(0, 100).Any(step => !sampling.At(step, seed: 4, Layers).SequenceEqual(draws[step])));
        }
    }

    /// <summary>Every pair of layers as often as another: 10 pairs over 20,000 draws, of which each is 2,000 ± 42 by chance.</summary>
    [TestMethod]
    public void EveryChoiceIsAsProbable()
    {
        var sampling = new LayerSampling { IntervalSteps = 1 };
        int[] counts = [.. Enumerable.Range(0, 20_000).Select(step => string.Join(' ', sampling.At(step, seed: 0, Layers)))
            .GroupBy(pair => pair).Select(pair => pair.Count())];

        Assert.HasCount(10, counts);
        Assert.IsTrue(counts.All(count => Math.Abs(count - 2000) < 5 * 42), string.Join(' ', counts));
    }

    [TestMethod]
    public void TheDefaultIsTwoLayersOrAllOfFewer()
    {
        Assert.AreEqual(2, new LayerSampling().CountOf(32));
        Assert.AreEqual(1, new LayerSampling().CountOf(1));
        Assert.AreEqual(20, new LayerSampling().IntervalSteps);
    }

    /// <summary>Bit by bit, after every step: drawn layers, embeddings, last norm and head move; no other weight does.</summary>
    [TestMethod]
    [DataRow(1, false)]
    [DataRow(2, false)]
    [DataRow(2, true)]
    public void ItTrainsExactlyTheLayersThatItDrew(int count, bool checkpointing)
    {
        var sampling = new LayerSampling { Layers = count, IntervalSteps = 3 };
        using CausalLM model = TinyModel.Create(s_config);
        model.GradientCheckpointing = checkpointing;
        AdapterSet adapters = Inject(model, sampling);
        Dictionary<string, byte[]> before = Bytes(adapters);
        var drawn = new HashSet<int>();
        int step = 0;

        Train(model, adapters, 12, _ =>
        {
            Dictionary<string, byte[]> now = Bytes(adapters);
            IReadOnlyList<int> draw = sampling.At(step, seed: 7, Layers);
            drawn.UnionWith(draw);
            foreach ((string name, byte[] bytes) in now)
            {
                // A key's bias shifts every score of a query alike: its gradient is zero but for rounding.
                bool trains = Decoder.LayerOf(name) is not { } layer || draw.Contains(layer);
                if (!trains || !name.EndsWith("k_proj.bias", StringComparison.Ordinal))
                {
                    Assert.AreNotEqual(trains, bytes.AsSpan().SequenceEqual(before[name]), $"{name} at step {step}");
                }
            }

            (before, step) = (now, step + 1);
        });

        Assert.AreEqual(12, step);
        Assert.IsGreaterThan(count, drawn.Count);
    }

    /// <summary>A layer that is drawn again keeps its moments: with all of them it is full fine-tuning, over every interval.</summary>
    [TestMethod]
    [DataRow(ScalarType.Float32)]
    [DataRow(ScalarType.Float64)]
    public void WithAllLayersItIsFullFineTuning(ScalarType type)
    {
        double[][] values = [.. s_both.Select(lisa =>
        {
            using CausalLM model = TinyModel.Create(s_config, type);
            AdapterSet adapters = lisa
                ? Inject(model, new LayerSampling { Layers = Layers, IntervalSteps = 2 })
                : AdapterSet.Inject(model, TinyModel.Targets, new WeightMethod { Everything = true });
            List<double> log = [];
            Train(model, adapters, 8, progress => log.AddRange(progress.Loss, progress.GradientNorm));
            return (double[])[.. log, .. TinyModel.Values(adapters)];
        })];

        CollectionAssert.AreEqual(values[0], values[1]);
    }

    /// <summary>Backward computes no gradient of a frozen layer's weights, and the optimizer remembers nothing of it.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void AFrozenLayerHasNoGradientAndNoState(bool checkpointing)
    {
        var sampling = new LayerSampling { Layers = 2, IntervalSteps = 1 };
        using CausalLM model = TinyModel.Create(s_config);
        model.GradientCheckpointing = checkpointing;
        AdapterSet adapters = Inject(model, sampling);
        using var state = new TrainingState(adapters, TinyModel.Settings);
        using Batch batch = Batch.Of(TinyModel.Rows(3), 0, TestDevice.Current);
        for (int step = 0; step < 6; step++)
        {
            state.Optimizer.Prepare(step);
            SupervisedLoss.Backward(model, batch, 1.0 / batch.LabelCount, 512).Dispose();
            IReadOnlyList<int> draw = sampling.At(step, seed: 7, Layers);
            string[] trained = [.. adapters.Trainable.Select(named => named.Key)
                .Where(name => Decoder.LayerOf(name) is not { } layer || draw.Contains(layer))];

            CollectionAssert.AreEquivalent(
                trained, adapters.Trainable.Where(named => named.Value.grad is not null).Select(named => named.Key).ToArray());
            CollectionAssert.AreEquivalent(
                trained.Select(name => $"exp_avg.{name}").ToArray(),
                state.Optimizer.State.Select(named => named.Key[Math.Max(named.Key.IndexOf("exp_avg.", StringComparison.Ordinal), 0)..])
                    .Where(name => name.StartsWith("exp_avg.", StringComparison.Ordinal)).ToArray());
            state.Optimizer.Step(1e-3);
            state.Optimizer.ZeroGrad();
        }
    }

    /// <summary>A layer that leaves forgets; one that stays goes on, and so does what always trains.</summary>
    [TestMethod]
    public void TheMomentsOfALayerThatLeavesAreDropped()
    {
        using var scope = NewDisposeScope();
        IReadOnlyList<int>[] draws = [[0, 1], [1, 2], [0, 1]];
        KeyValuePair<string, Parameter>[] weights =
            [.. Enumerable.Range(0, 4).Select(i => KeyValuePair.Create($"{i}", new Parameter(ones(3).OnDevice())))];
        using var optimizer = new LisaAdamW(
            [.. weights[..3].Select(named => new[] { named })], weights[3..], TinyModel.Settings.ToAdamWSettings(), step => draws[step]);

        Step(0);
        AreCounts("step: 1, layers.0.step: 1, layers.1.step: 1");
        Step(1);
        AreCounts("step: 2, layers.1.step: 2, layers.2.step: 1");
        optimizer.Prepare(2);
        AreCounts("step: 2, layers.0.step: 0, layers.1.step: 2");
        Assert.AreEqual(0, optimizer.State.Single(named => named.Key == "layers.0.exp_avg.0").Value.abs().max().item<float>());
        Assert.AreNotEqual(0, optimizer.State.Single(named => named.Key == "layers.1.exp_avg.1").Value.abs().max().item<float>());

        void Step(int step)
        {
            optimizer.Prepare(step);
            foreach ((_, Parameter weight) in weights.Where(named => named.Value.requires_grad))
            {
                weight.grad = ones(3).OnDevice();
            }

            optimizer.Step(0.1);
            optimizer.ZeroGrad();
        }

        void AreCounts(string expected) => Assert.AreEqual(expected, string.Join(", ", optimizer.State
            .Where(named => named.Key.EndsWith("step", StringComparison.Ordinal))
            .Select(named => FormattableString.Invariant($"{named.Key}: {named.Value.item<float>()}"))));
    }

    /// <summary>The paper's claim, in bytes: two moments of embeddings, last norm, head and γ layers, and counts of steps.</summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(5)]
    public void TheStateIsThatOfTheDrawnLayers(int count)
    {
        using CausalLM model = TinyModel.Create(s_config);
        AdapterSet adapters = Inject(model, new LayerSampling { Layers = count, IntervalSteps = 1 });
        using var state = new TrainingState(adapters, TinyModel.Settings);
        long layer = adapters.Trainable.Where(named => Decoder.LayerOf(named.Key) == 0).Sum(named => named.Value.numel()),
            always = adapters.Trainable.Where(named => Decoder.LayerOf(named.Key) is null).Sum(named => named.Value.numel());
        Assert.AreEqual((2 * TinyModel.VocabularySize * 16) + 16, always);

        for (int step = 0; step < 5; step++)
        {
            state.Optimizer.Prepare(step);
            Assert.AreEqual(
                sizeof(float) * ((2 * (always + (count * layer))) + 1 + count),
                state.Optimizer.State.Sum(named => named.Value.numel() * named.Value.element_size()));
        }
    }

    private static AdapterSet Inject(CausalLM model, LayerSampling sampling) =>
        AdapterSet.Inject(model, TinyModel.Targets, new LisaMethod { Sampling = sampling, Seed = 7 });

    private static void Train(CausalLM model, AdapterSet adapters, int steps, Action<SorsaTrainingProgress> report) =>
        new TrainingLoop(model, adapters, TinyModel.Settings with { LearningRate = 0.01, WarmupRatio = 0, WeightDecay = 0.1 }).Run(
            TinyModel.Rows(4 * steps).Chunk(4).Select(rows => rows.Chunk(2).ToArray()), steps, null, report, CancellationToken.None);

    private static Dictionary<string, byte[]> Bytes(AdapterSet adapters) =>
        adapters.Trainable.ToDictionary(named => named.Key, named => named.Value.detach().cpu().bytes.ToArray());
}
