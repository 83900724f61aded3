using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>
/// The runs of GaLore's own optimizer through the one loop: same start, same batches, same end. Met are 8e-8 in float64 (the projectors are
/// float32 in both) and 7e-7 in float32; a projector's vector with the other sign moves the ends by 1e-3.
/// </summary>
[TestClass]
[TestCategory("GaLore")]
[TestCategory("Training")]
[TestCategory("Numeric")]
public sealed class GaLoreTrajectoryTests
{
    private const string End = "end.";

    public static IEnumerable<object[]> Runs =>
        TestData.Rows(TestData.Golden("galore"), "*.json")
            .SelectMany(row => new object[][] { [row[0], ScalarType.Float64], [row[0], ScalarType.Float32] });

    [TestMethod]
    [DynamicData(nameof(Runs))]
    public void TheAuthorsTrajectoryIsMet(string file, ScalarType type)
    {
        if (TestDevice.Current.type != DeviceType.CPU)
        {
            Assert.Inconclusive("The signs of the singular vectors are LAPACK's; those of a GPU's library are others.");
        }

        using var scope = NewDisposeScope();
        using GoldenRun run = GoldenRun.Open(TestData.Require(file), type, TestDevice.Current);
        string[] stored = [.. run.Golden.Tensors.Keys.Where(key => key.StartsWith(End, StringComparison.Ordinal))];
        CollectionAssert.AreEquivalent(stored, run.Adapters.Trainable.Select(named => End + named.Key).ToArray());
        foreach ((string name, Parameter value) in run.Adapters.Trainable)
        {
            Assert.AreEqual(0, TensorDifference.Largest(value, run.Stored("start", name)!), type == ScalarType.Float64 ? 0 : 1e-7, name);
        }

        var log = new List<SorsaTrainingProgress>();
        new TrainingLoop(run.Model, run.Adapters, run.Options).Run(
            GoldenBatches.Steps(run.Golden, 1), run.Steps, validate: null, log.Add, CancellationToken.None);

        foreach ((string name, Parameter value) in run.Adapters.Trainable)
        {
            Assert.IsLessThanOrEqualTo(
                type == ScalarType.Float64 ? 2e-7 : 2e-6, TensorDifference.Largest(value, run.Stored("end", name)!), name);
        }

        double[] losses = run.Golden.Tensors["log.loss"].cpu().data<double>().ToArray(),
            norms = run.Golden.Tensors["log.grad_norm"].cpu().data<double>().ToArray();
        Assert.HasCount(run.Steps, log);
        for (int step = 0; step < run.Steps; step++)
        {
            Assert.AreEqual(losses[step], log[step].Loss, 3e-6, $"loss of step {step}");
            Assert.AreEqual(norms[step], log[step].GradientNorm, 1e-6 * norms[step], $"norm of step {step}");
        }
    }
}
