using Microsoft.ML.Sorsa.Sweeps;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>What trials leave behind.</summary>
[TestClass]
[TestCategory("Sweeps")]
[DoNotParallelize]
public sealed class SweepsMemoryTests
{
    /// <summary>
    /// No more tensors than a training by itself, whose model is disposed: of that it is known that only TorchSharp's count of a Parameter
    /// grows. A trial that fails, and those whose model is not the best one, are among them.
    /// </summary>
    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void ATrialLeavesNoTensor()
    {
        Options options = SweepTask.Trainer;
        options.MaxSteps = 2;
        long Alone()
        {
            long before = Tensor.TotalCount;
            SweepTask.Context.Sorsa().FineTune(options).Fit(SweepTask.Train, SweepTask.Validation).Dispose();
            return Tensor.TotalCount - before;
        }

        long Sweep(int trials)
        {
            long before = Tensor.TotalCount;
            int measured = 0;
            SweepTask.Experiment
                .SetTrainer(options)
                .SetSearchSpace(new() { ["Gamma"] = new UniformDoubleOption(0.1, 0.2) })
                .SetTuner(new RandomSearchTuner())
                .SetMetric(SweepMetric.Of("worse and worse", (_, _) => ++measured == 3 ? double.NaN : measured))
                .SetPruning(null)
                .SetMaxModelToExplore(trials)
                .Run()
                .Dispose();
            return Tensor.TotalCount - before;
        }

        Alone();
        Sweep(1);
        long alone = Alone(), one = Sweep(1), five = Sweep(5);

        Assert.AreEqual(4 * alone, five - one);
    }
}
