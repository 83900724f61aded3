using Microsoft.ML;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>Tensors are counted per process, so nothing else may run.</summary>
[TestClass]
[TestCategory("Surface")]
[TestCategory("Training")]
[DoNotParallelize]
public sealed class SorsaMemoryTests
{
    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void ThreeHundredStepsKeepTheNumberOfTensors()
    {
        var mlContext = new MLContext();
        var counts = new List<long>();
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.BatchSize = 1;
        options.NumberOfEpochs = 25;
        options.Progress = new Counter(counts);

        using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext));

        Assert.HasCount(300, counts);
        Assert.HasCount(1, counts.Skip(2).Distinct().ToArray());
    }

    private sealed class Counter(List<long> counts) : IProgress<Sorsa.Training.SorsaTrainingProgress>
    {
        public void Report(Sorsa.Training.SorsaTrainingProgress value) => counts.Add(Tensor.TotalCount);
    }
}
