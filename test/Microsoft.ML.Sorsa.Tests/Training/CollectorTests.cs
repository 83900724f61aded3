using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;
using AdamW = Microsoft.ML.Sorsa.Optimizers.AdamW;
using Parameter = TorchSharp.Modules.Parameter;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>
/// What TorchSharp hands to native code may lose its owner to the garbage collector before the call is over (ScalarArithmetic has the
/// story): a thread that collects without pause must change nothing. It would reach into whatever runs beside it, so nothing does.
/// </summary>
[TestClass]
[TestCategory("Training")]
[DoNotParallelize]
public sealed class CollectorTests
{
    [TestMethod]
    public void TheCollectorDoesNotReachIntoAStep() => CollectionAssert.AreEqual(Step(), WhileCollecting(Step));

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void TheCollectorDoesNotReachIntoTraining() => CollectionAssert.AreEqual(Train(1), WhileCollecting(() => Train(10)));

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void TheCollectorDoesNotReachIntoGeneration() => CollectionAssert.AreEqual(Generate(1), WhileCollecting(() => Generate(10)));

    /// <summary>A parameter after 500 steps of the optimizer.</summary>
    private static double[] Step()
    {
        using var scope = NewDisposeScope();
        var parameter = new Parameter(ones(64, ScalarType.Float64));
        using var optimizer = new AdamW(
            [KeyValuePair.Create("weight", parameter)], TinyModel.Settings.ToAdamWSettings() with { WeightDecay = 0.1 });
        for (int step = 0; step < 500; step++)
        {
            parameter.grad = parameter.detach().clone().Shift((double)-step);
            optimizer.Step(0.01);
        }

        return parameter.detach().data<double>().ToArray();
    }

    /// <summary>The weights after some steps; the same each time.</summary>
    private static double[] Train(int times)
    {
        double[] values = [];
        for (int i = 0; i < times; i++)
        {
            using CausalLM model = TinyModel.Create(bias: true);
            AdapterSet adapters = TinyModel.Adapt(model, dropout: 0.1, gamma: 0.1);
            var plan = new BatchPlan(TinyModel.Rows(40), 2, 2, seed: 1);
            new TrainingLoop(model, adapters, TinyModel.Settings with { WeightDecay = 0.1, MaxGradNorm = 0.1 }).Run(
                plan.Epoch(0), plan.StepsPerEpoch, () => 1, _ => { }, CancellationToken.None);
            values = TinyModel.Values(adapters);
        }

        return values;
    }

    private static int[] Generate(int times)
    {
        int[] ids = [];
        for (int i = 0; i < times; i++)
        {
            using CausalLM model = TinyModel.Create();
            var generator = new TokenGenerator(new CachedModel(model), new GenerationOptions { MaxNewTokens = 20 }, []);
            GenerationRow[] rows = [generator.CreateRow([1, 2, 3], 0), generator.CreateRow([4], 1)];
            generator.Complete(rows, CancellationToken.None);
            ids = [.. rows.SelectMany(row => row.NewIds)];
        }

        return ids;
    }

    private static T WhileCollecting<T>(Func<T> work)
    {
        using var done = new CancellationTokenSource();
        Task collector = Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        });
        try
        {
            return work();
        }
        finally
        {
            done.Cancel();
            collector.Wait();
        }
    }
}
