using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>The runs of PEFT and transformers, each method through the one loop: same start, same batches, same end.</summary>
[TestClass]
[TestCategory("Peft")]
[TestCategory("Training")]
[TestCategory("Numeric")]
public sealed class PeftTrajectoryTests
{
    public static IEnumerable<object[]> Runs =>
        TestData.Rows(TestData.Golden("peft"), "*.json")
            .SelectMany(row => new object[][] { [row[0], ScalarType.Float64], [row[0], ScalarType.Float32] });

    [TestMethod]
    [DynamicData(nameof(Runs))]
    public void ThePeersTrajectoryIsMet(string file, ScalarType type)
    {
        using var scope = NewDisposeScope();
        using GoldenRun run = GoldenRun.Open(TestData.Require(file), type, TestDevice.Current);
        double parameters = type == ScalarType.Float64 ? 1e-7 : TestDevice.Limit(1e-5), logits = TestDevice.Limit(1e-5);
        Assert.IsLessThanOrEqualTo(logits, run.LogitsOff("start"));
        var log = new List<SorsaTrainingProgress>();
        var masks = new List<byte[]>();

        new TrainingLoop(run.Model, run.Adapters, run.Options).Run(
            GoldenBatches.Steps(run.Golden, 1), run.Steps, validate: null,
            progress =>
            {
                log.Add(progress);
                masks.Add(run.KeptTriplets());
            },
            CancellationToken.None);

        foreach ((string name, Parameter value) in run.Adapters.Trainable)
        {
            if (run.Stored("end", name) is { } end)
            {
                Assert.IsLessThanOrEqualTo(parameters, TensorDifference.Largest(value, end), name);
            }
        }

        Assert.HasCount(run.Steps, log);
        double[] losses = run.Golden.Tensors["log.loss"].cpu().data<double>().ToArray(),
            norms = run.Golden.Tensors["log.grad_norm"].cpu().data<double>().ToArray();
        for (int step = 0; step < run.Steps; step++)
        {
            double penalty = run.Adapters.Penalty is { InLoss: true } inLoss ? inLoss.Weight * log[step].Orthonormality!.Value : 0;
            Assert.AreEqual(losses[step], log[step].Loss + penalty, TestDevice.Limit(3e-6));
            Assert.AreEqual(norms[step], log[step].GradientNorm, TestDevice.Limit(1e-5) * norms[step]);
            if (run.Golden.Tensors.TryGetValue(FormattableString.Invariant($"rank_mask.{step:D2}"), out Tensor? mask))
            {
                CollectionAssert.AreEqual(mask.cpu().data<byte>().ToArray(), masks[step], $"step {step}");
            }
        }

        Assert.IsLessThanOrEqualTo(logits, run.LogitsOff("end"));
        foreach ((string path, Adapter adapter) in run.Adapters.Adapters)
        {
            if (run.Golden.Tensors.TryGetValue($"merged.{path}.weight", out Tensor? merged))
            {
                Assert.IsLessThanOrEqualTo(parameters, TensorDifference.Largest(adapter.MergedWeight(), merged), path);
            }
        }

        run.Adapters.Merge(type);
        Assert.IsLessThanOrEqualTo(logits, run.LogitsOff("merged"));
    }
}
