using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>Tensors are counted per process, so nothing else may run.</summary>
[TestClass]
[TestCategory("Training")]
[DoNotParallelize]
public sealed class TensorCountTests
{
    [TestMethod]
    [DataRow(0.0)]
    [DataRow(0.2)]
    public void FiftyStepsLeaveNoTensorBehind(double dropout)
    {
        using CausalLM model = TinyModel.Create(bias: true);
        AdapterSet adapters = TinyModel.Adapt(model, dropout: dropout);
        SupervisedExample[] rows = TinyModel.Rows(200);
        var plan = new BatchPlan(rows, 2, 2, seed: 1);

        // The model keeps its rotary frequencies from its first forward on.
        SupervisedLoss.Mean(model, rows[..1], 1, 0, 512);

        // What earlier tests left to the collector must not go while we count.
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        long before = Tensor.TotalCount;
        var counts = new List<long>();

        new TrainingLoop(model, adapters, TinyModel.Settings with { EvaluationSteps = 10 }).Run(
            plan.Epoch(0), plan.StepsPerEpoch, () => SupervisedLoss.Mean(model, rows[..4], 2, 0, 512), _ => counts.Add(Tensor.TotalCount),
            CancellationToken.None);

        Assert.HasCount(50, counts);
        Assert.IsTrue(counts[2..10].All(count => count == counts[2]), string.Join(' ', counts));

        // After the first evaluation of the validation rows the best weights are kept as well, once.
        Assert.IsTrue(counts[10..].All(count => count == counts[10]), string.Join(' ', counts));
        Assert.AreEqual(counts[2] + adapters.Trainable.Count, counts[10]);
        Assert.AreEqual(before, Tensor.TotalCount);
    }
}
