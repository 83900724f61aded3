using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Memory;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Memory;

/// <summary>
/// The formulas against what was allocated on an H100: random weights in the shape of Llama 2 7B, bfloat16, rows of 512 tokens, half of
/// them labelled, without checkpointing and with all scores at once (docs/memory.md). What is called GB there are GiB.
/// </summary>
[TestClass]
[TestCategory("Estimate")]
public sealed class EstimateGpuTests
{
    private const double GiB = 1L << 30;

    [TestMethod]
    [DataRow(null, 0, 4, 21.2)]
    [DataRow(FineTuningMethod.Lora, 16, 4, 24.0)]
    [DataRow(FineTuningMethod.Lora, 128, 4, 27.8)]
    [DataRow(FineTuningMethod.Sorsa, 128, 4, 29.1)]
    [DataRow(FineTuningMethod.Dora, 16, 4, 29.2)]
    [DataRow(FineTuningMethod.Sorsa, 128, 16, 61.5)]
    [DataRow(FineTuningMethod.Sorsa, 128, 1, 20.8)]
    [DataRow(FineTuningMethod.Lora, 16, 1, 15.8)]
    [DataRow(null, 0, 1, 14.7)]
    public void TheStepTakesWhatTheCardSaid(FineTuningMethod? method, int rank, int rows, double measured)
    {
        var batch = new BatchSizes(rows, 512, rows * 256);
        TrainingMemory memory = Memory(method, rank);

        double estimated = memory.Step(batch) / GiB;

        Assert.AreEqual(1, estimated / measured, 0.1, string.Create(CultureInfo.InvariantCulture, $"{estimated:F2}"));
    }

    /// <summary>Llama 2 7B, r = 128, bfloat16, one row of 512 tokens on a card of 24 GB, of which 1.8 are what CUDA itself takes.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void SevenBillionFitACardOf24(bool checkpointing)
    {
        TrainingMemory memory = Memory(FineTuningMethod.Sorsa, 128, checkpointing, chunkSize: 512);

        foreach (long peak in new[] { memory.Start, memory.Step(new BatchSizes(1, 512, 256)), memory.End })
        {
            Assert.IsLessThan(24 - 1.8, peak / GiB);
        }
    }

    /// <summary>What checkpointing keeps is no function of how wide the feed-forward part is.</summary>
    [TestMethod]
    public void CheckpointingSavesMostOfTheActivations()
    {
        var batch = new BatchSizes(16, 512, 4096);

        long kept = Memory(FineTuningMethod.Sorsa, 128, true, 512).Activations(batch);

        // Two tensors of hidden size a layer, in bfloat16, and the last norm's input in float32.
        Assert.AreEqual(batch.Tokens * 4096 * ((32 * 2 * 2) + 4), kept);
        Assert.IsGreaterThan(9 * kept, Memory(FineTuningMethod.Sorsa, 128).Activations(batch));
    }

    private static TrainingMemory Memory(
        FineTuningMethod? method, int rank, bool checkpointing = false, int chunkSize = int.MaxValue) => new(
        new ModelSizes(
            RandomSizes.Llama2_7B.Config.Spec, ScalarType.BFloat16, ScalarType.BFloat16, OwnsWeights: true, OnCpu: false),
        new TrainingPlan
        {
            Method = MethodCatalog.Get(method ?? FineTuningMethod.Lora),
            MethodSettings = new MethodSettings { Rank = rank },
            TargetModules = method is null ? [] : new SorsaFineTuningTrainer.Options().TargetModules,
            Validation = [],
            Accumulates = false,
            GradientCheckpointing = checkpointing,
            LogitsChunkSize = chunkSize,
        });
}
