using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.GaLore;
using Microsoft.ML.Sorsa.Adapters.Weights;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Optimizers;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>GaLore: its update against the formulas, what trains, and what the optimizer keeps.</summary>
[TestClass]
[TestCategory("GaLore")]
[TestCategory("Methods")]
[TestCategory("Numeric")]
public sealed class GaLoreTests
{
    private static readonly int[] s_ranks = [16, 1000];

    private static readonly AdamWSettings s_settings = new(0.9, 0.99, 1e-8, 0);

    /// <summary>
    /// Algorithm 2 written out with plain tensors, over two decompositions: a tall matrix, a wide one, and one that is not projected.
    /// </summary>
    [TestMethod]
    [DataRow(0.0, 1.0)]
    [DataRow(0.1, 0.25)]
    public void TheUpdateIsThatOfTheFormulas(double weightDecay, double scale)
    {
        const int Rank = 3, Gap = 4;
        using var scope = NewDisposeScope();
        using var generator = new Generator(4);
        long[][] shapes = [[9, 5], [5, 9], [6]];
        Parameter[] ours = [.. shapes.Select(shape => new Parameter(Random(shape)))];
        Tensor[] theirs = [.. ours.Select(parameter => parameter.detach().clone())],
            projectors = new Tensor[2], first = new Tensor[3], second = new Tensor[3];
        using var optimizer = new GaLoreAdamW(
            [.. ours[..2].Select((parameter, i) => KeyValuePair.Create($"{i}", parameter))], [KeyValuePair.Create("2", ours[2])],
            s_settings with { WeightDecay = weightDecay }, new GradientProjection { UpdateSteps = Gap, Scale = scale }, Rank, seed: 1);

        for (int step = 0; step < 10; step++)
        {
            double rate = 0.01 * (step + 1), correction = Math.Sqrt(1 - Math.Pow(0.99, step + 1)) / (1 - Math.Pow(0.9, step + 1));
            optimizer.Prepare(step);
            Tensor[] gradients = [.. shapes.Select(Random)];
            for (int i = 0; i < 3; i++)
            {
                ours[i].grad = gradients[i].clone();
            }

            optimizer.Step(rate);
            optimizer.ZeroGrad();
            for (int i = 0; i < 3; i++)
            {
                if (i < 2)
                {
                    Tensor projector = optimizer.State.Single(named => named.Key == $"projector.{i}").Value;
                    AreLeadingVectors(step % Gap == 0 ? gradients[i] : null, projector, projectors[i]);
                    projectors[i] = projector.clone();
                }

                Tensor low = i == 0 ? gradients[0].mm(projectors[0].t()) : i == 1 ? projectors[1].t().mm(gradients[1]) : gradients[2];
                first[i] = (step == 0 ? zeros_like(low) : 0.9 * first[i]) + (0.1 * low);
                second[i] = (step == 0 ? zeros_like(low) : 0.99 * second[i]) + (0.01 * low * low);
                Tensor update = correction * first[i] / (second[i].sqrt() + 1e-8);
                update = i == 0 ? scale * update.mm(projectors[0]) : i == 1 ? scale * projectors[1].mm(update) : update;
                theirs[i] = (theirs[i] - (rate * update)) * (1 - (rate * weightDecay));
                Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), TensorDifference.Largest(theirs[i], ours[i]), $"{i} at step {step}");
            }
        }

        Tensor Random(long[] shape) => randn(shape, ScalarType.Float64, generator: generator).OnDevice();

        void AreLeadingVectors(Tensor? gradient, Tensor projector, Tensor before)
        {
            if (gradient is null)
            {
                Assert.AreEqual(0, TensorDifference.Largest(before, projector));
                return;
            }

            (Tensor u, _, Tensor vt) = linalg.svd(gradient, fullMatrices: false);
            Tensor cosines = gradient.shape[0] >= gradient.shape[1] ? vt[..Rank].mm(projector.t()) : u[.., ..Rank].t().mm(projector);
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), TensorDifference.Largest(eye(Rank).OnDevice(), cosines.abs()));
        }
    }

    /// <summary>Square, somewhat longer on one side, and so much that it is reduced first: libtorch's vectors, up to the sign.</summary>
    [TestMethod]
    [DataRow(12, 12)]
    [DataRow(13, 12)]
    [DataRow(21, 12)]
    [DataRow(22, 12)]
    [DataRow(40, 12)]
    [DataRow(12, 13)]
    [DataRow(12, 21)]
    [DataRow(12, 22)]
    [DataRow(12, 40)]
    [DataRow(1, 5)]
    [DataRow(5, 1)]
    public void TheVectorsAreThoseOfTheDecomposition(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(9);
        Tensor matrix = randn([rows, columns], ScalarType.Float64, generator: generator).OnDevice();
        int rank = Math.Min(4, Math.Min(rows, columns));

        Tensor vectors = GesddVectors.OfSmallerSide(matrix, rank);

        (Tensor u, _, Tensor vt) = linalg.svd(matrix, fullMatrices: false);
        Tensor expected = rows >= columns ? vt[..rank] : u[.., ..rank];
        CollectionAssert.AreEqual(expected.shape, vectors.shape);
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), TensorDifference.Largest(expected.abs(), vectors.abs()));
    }

    /// <summary>The update of a matrix lies in the span of the projector: it has the rank that was asked for, and no more.</summary>
    [TestMethod]
    [DataRow(2)]
    [DataRow(5)]
    public void BetweenTwoDecompositionsAMatrixMovesInOneSubspace(int rank)
    {
        using var scope = NewDisposeScope();
        using CausalLM model = TinyModel.Create(ScalarType.Float64);
        AdapterSet adapters = Inject(model, rank, new GradientProjection { UpdateSteps = 100, Scale = 1 });
        var before = adapters.Adapters.ToDictionary(named => named.Key, named => named.Value.MergedWeight().clone());

        Train(model, adapters, 6);

        foreach ((string path, Adapter adapter) in adapters.Adapters)
        {
            Tensor values = linalg.svdvals(adapter.MergedWeight() - before[path]);
            int cut = (int)Math.Min(rank, values.shape[0]);
            Assert.IsGreaterThan(1e-6, values[cut - 1].item<double>(), path);
            if (cut < values.shape[0])
            {
                Assert.IsLessThan(TestDevice.Limit(1e-12), values[cut].item<double>(), path);
            }
        }
    }

    /// <summary>Everything trains, or with TargetsOnly the targets alone; with some targets the other projections train plainly.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void WhatTrainsFollowsFromTheTargets(bool targetsOnly)
    {
        using CausalLM model = TinyModel.Create(bias: true);
        string[] targets = ["q_proj", "down_proj"];
        var before = model.NamedWeights.ToDictionary(named => named.Key, named => named.Value.detach().cpu().bytes.ToArray());
        AdapterSet adapters = Inject(model, 3, new GradientProjection { TargetsOnly = targetsOnly }, targets);
        using (var state = new TrainingState(adapters, TinyModel.Settings))
        {
            CollectionAssert.AreEquivalent(
                before.Keys.Where(name => targets.Any(target => name.EndsWith($"{target}.weight", StringComparison.Ordinal))).ToArray(),
                state.Optimizer.State.Select(named => named.Key).Where(name => name.StartsWith("projector.", StringComparison.Ordinal))
                    .Select(name => name["projector.".Length..]).ToArray());
        }

        Train(model, adapters, 3);
        adapters.Merge(ScalarType.Float32);

        foreach ((string name, Tensor weight) in model.NamedWeights.Where(
            named => !named.Key.EndsWith("k_proj.bias", StringComparison.Ordinal)))
        {
            bool trains = !targetsOnly || targets.Any(target => name.EndsWith($"{target}.weight", StringComparison.Ordinal));
            Assert.AreNotEqual(trains, weight.cpu().bytes.SequenceEqual(before[name]), name);
        }
    }

    /// <summary>
    /// The paper's claim, in bytes: of a target two moments of r · the larger side and a projector of r · the smaller; of the rest two
    /// moments.
    /// </summary>
    [TestMethod]
    [DataRow(1, false)]
    [DataRow(4, false)]
    [DataRow(4, true)]
    [DataRow(16, true)]
    public void TheStateIsThatOfTheProjections(int rank, bool targetsOnly)
    {
        using CausalLM model = TinyModel.Create();
        AdapterSet adapters = Inject(model, rank, new GradientProjection { TargetsOnly = targetsOnly });
        using var state = new TrainingState(adapters, TinyModel.Settings);
        long targets = adapters.Adapters.Sum(named =>
        {
            long[] shape = ((TrainedLinear)named.Value).W.shape;
            return Math.Min(rank, shape.Min()) * ((2 * shape.Max()) + shape.Min());
        });

        // Embedding, head, two norms in each of two layers, the last norm.
        long rest = targetsOnly ? 0 : (2 * TinyModel.VocabularySize * 16) + (5 * 16);
        Assert.AreEqual(
            sizeof(float) * (targets + (2 * rest) + 1),
            state.Optimizer.State.Sum(named => named.Value.numel() * named.Value.element_size()));
    }

    /// <summary>A rank above a matrix's smaller side, as the grouped keys have it, keeps that side whole.</summary>
    [TestMethod]
    public void ARankAboveTheSmallerSideIsThatSide()
    {
        double[][] values = [.. s_ranks.Select(rank =>
        {
            using CausalLM model = TinyModel.Create();
            AdapterSet adapters = Inject(model, rank, new GradientProjection());
            Train(model, adapters, 3);
            return TinyModel.Values(adapters);
        })];

        CollectionAssert.AreEqual(values[0], values[1]);
    }

    /// <summary>A matrix so large that its decomposition is randomised: the seed decides its bits, whatever was drawn before.</summary>
    [TestMethod]
    public void ARandomisedDecompositionFollowsFromSeedAndStep()
    {
        using var scope = NewDisposeScope();
        byte[][] ends = [.. new[] { (1, 0), (1, 3), (2, 0) }.Select(run =>
        {
            using var generator = new Generator(4);
            var weight = new Parameter(randn([170, 200], generator: generator).OnDevice());
            using var optimizer = new GaLoreAdamW(
                [KeyValuePair.Create("weight", weight)], [], s_settings, new GradientProjection { UpdateSteps = 2 }, 1, seed: run.Item1);
            using Tensor lost = rand(run.Item2 + 1).OnDevice();
            for (int step = 0; step < 4; step++)
            {
                optimizer.Prepare(step);
                weight.grad = randn([170, 200], generator: generator).OnDevice();
                optimizer.Step(1e-3);
                optimizer.ZeroGrad();
            }

            return weight.detach().cpu().bytes.ToArray();
        })];

        Assert.IsTrue(TruncatedSvd.IsRandomizedCheaper(170, 1));
        CollectionAssert.AreEqual(ends[0], ends[1]);
        CollectionAssert.AreNotEqual(ends[0], ends[2]);
    }

    [TestMethod]
    public void AMissingGradientIsAnError()
    {
        using var scope = NewDisposeScope();
        using var optimizer = new GaLoreAdamW(
            [KeyValuePair.Create("weight", new Parameter(ones(3, 3).OnDevice()))], [], s_settings, new GradientProjection(), 1, seed: 1);

        Assert.Contains("call backward first", Assert.ThrowsExactly<InvalidOperationException>(() => optimizer.Step(1)).Message);
    }

    private static AdapterSet Inject(CausalLM model, int rank, GradientProjection projection, string[]? targets = null) =>
        AdapterSet.Inject(model, targets ?? TinyModel.Targets, new GaLoreMethod { Rank = rank, Projection = projection, Seed = 7 });

    private static void Train(CausalLM model, AdapterSet adapters, int steps) =>
        new TrainingLoop(model, adapters, TinyModel.Settings with { LearningRate = 0.01, WarmupRatio = 0 }).Run(
            TinyModel.Rows(4 * steps).Chunk(4).Select(rows => new[] { rows }), steps, null, _ => { }, CancellationToken.None);
}
