using Microsoft.ML;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>Tensors are counted per process, so nothing else may run.</summary>
[TestClass]
[DoNotParallelize]
public sealed class SorsaMemoryTests
{
    [TestMethod]
    public void FitGenerateAndDisposeLeaveNoTensorBehind()
    {
        var mlContext = new MLContext();
        IDataView data = TinyTask.Data(mlContext);

        // What earlier tests left to the collector must not go while we count.
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        long before = Tensor.TotalCount;
        using (SorsaTransformer model = mlContext.Sorsa().FineTune(TinyTask.Options()).Fit(data, data))
        {
            Assert.HasCount(TinyTask.Rows.Length, TinyTask.Answers(model, data));
            Assert.IsGreaterThan(before, Tensor.TotalCount);
        }

        // TorchSharp counts the tensor that a Parameter is made of for ever, though its memory has moved over: once for each of the 56 weights of
        // the checkpoint, W_r, U, s and Vt of the twelve adapted projections, and their merged weights. Nothing else is left.
        Assert.AreEqual(before + 56 + (12 * 4) + 12, Tensor.TotalCount);
    }

    [TestMethod]
    [TestCategory("Slow")]
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
