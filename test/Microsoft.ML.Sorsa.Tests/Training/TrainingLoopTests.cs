using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

[TestClass]
[TestCategory("Training")]
[TestCategory("Numeric")]
public sealed class TrainingLoopTests
{
    private static readonly TrainingSettings Plain =
        TinyModel.Settings with { LearningRate = 0.01, WarmupRatio = 0, LearningRateDecay = LearningRateDecay.Constant };

    /// <summary>The golden runs cannot tell this: their micro-batches all have the same number of labels.</summary>
    [TestMethod]
    public void MicroBatchesDoNotChangeTheStep()
    {
        SupervisedExample[] rows = TinyModel.Rows(24);
        Assert.AreNotEqual(rows[..4].Sum(row => row.LabelCount), rows[4..8].Sum(row => row.LabelCount));

        (double[] whole, List<SorsaTrainingProgress> log) = Train(Plain, Cut(rows, 8, 8), 3, ScalarType.Float64);
        foreach (int micro in new[] { 4, 2, 1, 3 })
        {
            (double[] cut, List<SorsaTrainingProgress> cutLog) = Train(Plain, Cut(rows, 8, micro), 3, ScalarType.Float64);

            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(whole, cut), $"micro-batches of {micro}");
            for (int step = 0; step < 3; step++)
            {
                Assert.AreEqual(log[step].Loss, cutLog[step].Loss, 1e-9);
                Assert.AreEqual(log[step].GradientNorm, cutLog[step].GradientNorm, 1e-8);
            }
        }
    }

    [TestMethod]
    public void TheLossIsTheMeanOverAllResponseTokens()
    {
        using var scope = NewDisposeScope();
        SupervisedExample[] rows = TinyModel.Rows(8);
        using CausalLM model = TinyModel.Create(ScalarType.Float64);
        double sum = 0;
        int count = 0;
        using (no_grad())
        {
            foreach (SupervisedExample row in rows)
            {
                Tensor ids = tensor(row.Ids.Select(id => (long)id).ToArray()).OnDevice().unsqueeze(0);
                Tensor logits = model.Logits(model.Forward(model.Embed(ids)))[0];
                for (int t = row.PromptLength; t < row.Ids.Length; t++, count++)
                {
                    double[] scores = logits[t - 1].cpu().data<double>().ToArray();
                    double highest = scores.Max();
                    sum -= scores[row.Ids[t]] - highest - Math.Log(scores.Sum(score => Math.Exp(score - highest)));
                }
            }
        }

        (_, List<SorsaTrainingProgress> log) = Train(Plain, Cut(rows, 8, 2), 1, ScalarType.Float64);

        Assert.AreEqual(sum / count, log[0].Loss, 1e-6);
        Assert.AreEqual(sum / count, SupervisedLoss.Mean(model, rows, 3, padTokenId: 0, 512), 1e-6);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(39)]
    public void PaddingDoesNotMatter(int padTokenId)
    {
        SupervisedExample[] rows = TinyModel.Rows(16);

        (double[] values, _) = Train(Plain with { PadTokenId = padTokenId }, Cut(rows, 8, 8), 2, ScalarType.Float64);
        (double[] alone, _) = Train(Plain, Cut(rows, 8, 1), 2, ScalarType.Float64);

        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(values, alone));
    }

    /// <summary>With a usual ε AdamW's first step does not see the gradient's length, and clipping could not be told from none.</summary>
    [TestMethod]
    public void TheGlobalNormIsClipped()
    {
        SupervisedExample[] rows = TinyModel.Rows(8);
        TrainingSettings options = Plain with { AdamEpsilon = 1e3, LearningRate = 1 };

        (double[] start, _) = Train(options with { LearningRate = 1e-300 }, Cut(rows, 8, 8), 1, ScalarType.Float64, gamma: 0);
        (double[] free, List<SorsaTrainingProgress> log) = Train(
            options with { MaxGradNorm = null }, Cut(rows, 8, 8), 1, ScalarType.Float64, gamma: 0);
        double norm = log[0].GradientNorm;
        (double[] clipped, List<SorsaTrainingProgress> clippedLog) = Train(
            options with { MaxGradNorm = norm / 4 }, Cut(rows, 8, 8), 1, ScalarType.Float64, gamma: 0);
        (double[] loose, _) = Train(options with { MaxGradNorm = norm * 2 }, Cut(rows, 8, 8), 1, ScalarType.Float64, gamma: 0);

        // With a huge ε the step is −η·g/(|g| + ε), all but linear in g.
        double length = Math.Sqrt(free.Zip(start, (a, b) => (a - b) * (a - b)).Sum());
        Assert.AreEqual(norm / 1e3, length, 0.01 * length);
        Assert.AreEqual(length / 4, Math.Sqrt(clipped.Zip(start, (a, b) => (a - b) * (a - b)).Sum()), 0.01 * length);
        Assert.AreEqual(norm, clippedLog[0].GradientNorm, 1e-12);
        CollectionAssert.AreEqual(free, loose);
    }

    [TestMethod]
    public void GammaZeroIsNoRegularizer()
    {
        SupervisedExample[] rows = TinyModel.Rows(24);

        (double[] without, List<SorsaTrainingProgress> log) = Train(Plain, Cut(rows, 8, 8), 3, ScalarType.Float64, gamma: 0);
        (double[] nearly, List<SorsaTrainingProgress> nearlyLog) = Train(Plain, Cut(rows, 8, 8), 3, ScalarType.Float64, gamma: 1e-300);
        (double[] strong, _) = Train(Plain, Cut(rows, 8, 8), 3, ScalarType.Float64, gamma: 0.1);

        Assert.IsTrue(log.All(progress => progress.Orthonormality is null));
        Assert.IsTrue(nearlyLog.All(progress => progress.Orthonormality is >= 0));
        CollectionAssert.AreEqual(without, nearly);
        Assert.AreNotEqual(0, Largest(without, strong));
    }

    [TestMethod]
    public void TheRegularizerIsNotDividedByMicroBatches()
    {
        SupervisedExample[] rows = TinyModel.Rows(24);

        (double[] whole, _) = Train(Plain, Cut(rows, 8, 8), 3, ScalarType.Float64, gamma: 0.1);
        (double[] cut, _) = Train(Plain, Cut(rows, 8, 2), 3, ScalarType.Float64, gamma: 0.1);

        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(whole, cut));
    }

    [TestMethod]
    public void OnlyTheTrainedTensorsMove()
    {
        using var scope = NewDisposeScope();
        using CausalLM model = TinyModel.Create(bias: true);
        AdapterSet adapters = TinyModel.Adapt(model);
        var before = model.NamedWeights.ToDictionary(named => named.Key, named => named.Value.detach().clone(), StringComparer.Ordinal);
        var trained = adapters.Trainable.Select(named => named.Key).ToHashSet(StringComparer.Ordinal);

        new TrainingLoop(model, adapters, Plain).Run(Cut(TinyModel.Rows(24), 8, 8), 3, null, _ => { }, CancellationToken.None);

        foreach ((string name, Tensor value) in model.NamedWeights)
        {
            Assert.AreEqual(!trained.Contains(name), value.detach().cpu().bytes.SequenceEqual(before[name].cpu().bytes), name);
            Assert.IsNull(value.grad, name);
        }

        Assert.IsFalse(model.training);
    }

    [TestMethod]
    [DataRow(2, 5)]
    [DataRow(1, 4)]
    [DataRow(100, 8)]
    public void EarlyStoppingRestoresTheBest(int patience, int expectedSteps)
    {
        using CausalLM model = TinyModel.Create();
        AdapterSet adapters = TinyModel.Adapt(model);
        double[] losses = [3, 2, 1, 1, 2, 1.5, 4, 5];
        var seen = new List<double[]>();
        var log = new List<SorsaTrainingProgress>();

        new TrainingLoop(model, adapters, Plain with { EvaluationSteps = 1, EarlyStoppingPatience = patience }).Run(
            Cut(TinyModel.Rows(64), 8, 8), 8,
            () =>
            {
                seen.Add(TinyModel.Values(adapters));
                return losses[seen.Count - 1];
            },
            log.Add, CancellationToken.None);

        Assert.HasCount(expectedSteps, log);
        CollectionAssert.AreEqual(losses[..expectedSteps], log.Select(progress => progress.ValidationLoss!.Value).ToArray());
        CollectionAssert.AreEqual(seen[2], TinyModel.Values(adapters));
        Assert.AreNotEqual(0, Largest(seen[2], seen[^1]));
    }

    [TestMethod]
    public void ValidationComesEverySoManyStepsAndAtTheEnd()
    {
        using CausalLM model = TinyModel.Create();
        AdapterSet adapters = TinyModel.Adapt(model);
        var log = new List<SorsaTrainingProgress>();

        new TrainingLoop(model, adapters, Plain with { EvaluationSteps = 3 }).Run(
            Cut(TinyModel.Rows(64), 8, 8), 8, () => 1, log.Add, CancellationToken.None);

        int[] expected = [3, 6, 8];
        CollectionAssert.AreEqual(
            expected, log.Where(progress => progress.ValidationLoss is not null).Select(progress => progress.Step).ToArray());
        Assert.IsTrue(log.All(progress => progress.TotalSteps == 8));
    }

    [TestMethod]
    public void CancellationStopsBetweenSteps()
    {
        using CausalLM model = TinyModel.Create();
        AdapterSet adapters = TinyModel.Adapt(model);
        using var cancellation = new CancellationTokenSource();
        int steps = 0;

        Assert.ThrowsExactly<OperationCanceledException>(() => new TrainingLoop(model, adapters, Plain).Run(
            Cut(TinyModel.Rows(64), 8, 8), 8, null,
            progress =>
            {
                steps++;
                if (progress.Step == 2)
                {
                    cancellation.Cancel();
                }
            },
            cancellation.Token));

        Assert.AreEqual(2, steps);
        Assert.IsTrue(adapters.Trainable.All(named => named.Value.grad is null));
    }

    [TestMethod]
    [DataRow("model.layers.1.mlp.up_proj.s", double.NaN)]
    [DataRow("model.layers.1.mlp.up_proj.s", double.PositiveInfinity)]
    [DataRow("model.layers.1.mlp.up_proj.frozen.weight", double.NaN)]
    [DataRow("model.norm.weight", double.PositiveInfinity)]
    public void AWeightThatIsNotFiniteIsNamed(string name, double value)
    {
        using CausalLM model = TinyModel.Create();
        AdapterSet adapters = TinyModel.Adapt(model);

        ArithmeticException error = Diverge(
            model, adapters, Plain, () => Spoil(model.NamedWeights.Single(named => named.Key == name).Value, value));

        Assert.Contains("step 2", error.Message);
        Assert.Contains($"'{name}' holds such a value itself", error.Message);
        Assert.Contains("LearningRate (now 0.01)", error.Message);
        Assert.IsTrue(adapters.Trainable.All(named => named.Value.grad is null));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void AGradientThatIsNotFiniteIsNamed(bool clipped)
    {
        using var scope = NewDisposeScope();
        using CausalLM model = TinyModel.Create();
        AdapterSet adapters = TinyModel.Adapt(model, targets: ["q_proj", "down_proj"]);

        // Forward U ∘ s is what it was; backward dU = G ∘ s overflows where G is large, and nothing else does.
        ArithmeticException error = Diverge(model, adapters, Plain with { MaxGradNorm = clipped ? 1 : null }, () =>
        {
            using var noGrad = no_grad();
            var last = adapters.Adapters.Single(named => named.Key == "model.layers.1.mlp.down_proj").Value;
            last.Trainable[0].Value.div_(1e36f);
            last.Trainable[1].Value.mul_(1e36f);
            model.NamedWeights.Single(named => named.Key == "model.norm.weight").Value.mul_(1e4f);
        });

        Assert.Contains("step 2", error.Message);
        Assert.Contains("gradient of 'model.layers.1.mlp.down_proj.U' is the first", error.Message);
    }

    [TestMethod]
    public void TheSameSeedGivesTheSameBits()
    {
        SupervisedExample[] rows = TinyModel.Rows(40);

        CollectionAssert.AreEqual(Run(), Run());

        double[] Run()
        {
            using CausalLM model = TinyModel.Create();
            AdapterSet adapters = TinyModel.Adapt(model, dropout: 0.1);
            var plan = new BatchPlan(rows, 4, 2, seed: 9);
            new TrainingLoop(model, adapters, Plain).Run(plan.Epoch(0).Concat(plan.Epoch(1)), 10, null, _ => { }, CancellationToken.None);
            return TinyModel.Values(adapters);
        }
    }

    /// <summary>One good step, then the spoilt one.</summary>
    private static ArithmeticException Diverge(CausalLM model, AdapterSet adapters, TrainingSettings options, Action spoil) =>
        Assert.ThrowsExactly<ArithmeticException>(() => new TrainingLoop(model, adapters, options).Run(
            Cut(TinyModel.Rows(24), 8, 8), 3, null,
            progress =>
            {
                if (progress.Step == 1)
                {
                    spoil();
                }
            },
            CancellationToken.None));

    private static void Spoil(Tensor tensor, double value)
    {
        using var noGrad = no_grad();
        tensor.view(-1)[0].fill_(value);
    }

    private static (double[] Values, List<SorsaTrainingProgress> Log) Train(
        TrainingSettings options, IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> steps, int total, ScalarType type,
        double gamma = 4e-4)
    {
        using CausalLM model = TinyModel.Create(type);
        AdapterSet adapters = TinyModel.Adapt(model, gamma: gamma);
        var log = new List<SorsaTrainingProgress>();
        new TrainingLoop(model, adapters, options).Run(steps, total, null, log.Add, CancellationToken.None);
        Assert.HasCount(total, log);
        return (TinyModel.Values(adapters), log);
    }

    private static IEnumerable<IReadOnlyList<IReadOnlyList<SupervisedExample>>> Cut(SupervisedExample[] rows, int step, int micro) =>
        rows.Chunk(step).Select(chunk => chunk.Chunk(micro).ToArray());

    private static double Largest(double[] a, double[] b) => a.Zip(b, (x, y) => Math.Abs(x - y)).Max();
}
