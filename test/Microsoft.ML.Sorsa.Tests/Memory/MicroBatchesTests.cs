using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Tests.Models;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Memory;

[TestClass]
[TestCategory("Estimate")]
public sealed class MicroBatchesTests
{
    /// <summary>Against every micro-batch of the run, looked at one by one.</summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(5)]
    public void TheLargestOfTheRunAreFound(int epochs)
    {
        SupervisedExample[] rows = TinyModel.Rows(50);
        var options = new Options { BatchSize = 4, GradientAccumulationSteps = 2, NumberOfEpochs = epochs };
        var plan = new BatchPlan(rows, 4, 2, options.Seed);
        (long Tokens, long Labels)[] all = [.. Enumerable.Range(0, epochs).SelectMany(plan.Epoch).SelectMany(step => step).Select(batch =>
            ((long)batch.Count * batch.Max(row => row.Ids.Length), batch.Sum(row => (long)row.LabelCount)))];

        IReadOnlyList<BatchSizes> largest = MicroBatches.Of(options.ToSettings(), rows, []).Training;

        Assert.AreEqual(all.Max(batch => batch.Tokens), largest[0].Tokens);
        Assert.AreEqual(all.Max(batch => batch.Labels), largest[^1].Labels);
    }

    /// <summary>More steps than anybody can look at: the longest rows are taken to meet.</summary>
    [TestMethod]
    public void ALongRunIsNotLookedAtToItsEnd()
    {
        SupervisedExample[] rows = TinyModel.Rows(50);
        var options = new Options { BatchSize = 4, NumberOfEpochs = int.MaxValue };

        IReadOnlyList<BatchSizes> largest = MicroBatches.Of(options.ToSettings(), rows, []).Training;

        Assert.AreEqual(4 * rows.Max(row => row.Ids.Length), largest[0].Tokens);
    }
}
