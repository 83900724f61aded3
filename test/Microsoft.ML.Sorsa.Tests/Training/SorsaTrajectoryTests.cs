using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>The runs of the authors' own trainer, through the one loop: same start, same batches, same end.</summary>
[TestClass]
[TestCategory("Sorsa")]
[TestCategory("Training")]
[TestCategory("Numeric")]
public sealed class SorsaTrajectoryTests
{
    public static IEnumerable<object[]> Runs =>
        TestData.Rows(TestData.Golden("sorsa"), "*.json")
            .SelectMany(row => new object[][] { [row[0], ScalarType.Float64], [row[0], ScalarType.Float32] });

    [TestMethod]
    [DynamicData(nameof(Runs))]
    public void TheAuthorsTrajectoryIsMet(string file, ScalarType type)
    {
        using GoldenSorsaRun run = GoldenSorsaRun.Open(TestData.Require(file), type, TestDevice.Current);

        List<SorsaTrainingProgress> log = run.Train();

        double tolerance = type == ScalarType.Float64 ? 1e-7 : TestDevice.Limit(1e-5);
        Assert.IsLessThanOrEqualTo(tolerance, run.ParametersOff());
        Assert.IsLessThanOrEqualTo(tolerance, run.MergedOff());
        Assert.HasCount(run.Steps, log);
        double[] losses = run.Logged("loss"), norms = run.Logged("grad_norm"), orthonormality = run.Logged("orthonormality"),
            rates = run.Logged("learning_rate");
        for (int step = 0; step < run.Steps; step++)
        {
            Assert.AreEqual(losses[step], log[step].Loss, TestDevice.Limit(3e-6));
            Assert.AreEqual(norms[step], log[step].GradientNorm, TestDevice.Limit(1e-5) * norms[step]);
            Assert.AreEqual(step == 0 ? 0 : rates[step - 1], log[step].LearningRate, 1e-12);
            if (log[step].Orthonormality is { } measured)
            {
                Assert.AreEqual(orthonormality[step], measured, TestDevice.Limit(1e-6));
            }
        }
    }
}
