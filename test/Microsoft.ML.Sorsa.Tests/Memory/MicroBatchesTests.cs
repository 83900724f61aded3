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

    /// <summary>In whichever order they come, and with the ends that they keep, against every micro-batch of the run.</summary>
    [TestMethod]
    [DataRow(RowOrder.AsGiven, EndToken.Always)]
    [DataRow(RowOrder.SortedBuckets, EndToken.Always)]
    [DataRow(RowOrder.AsGiven, EndToken.WherePadded)]
    [DataRow(RowOrder.SortedBuckets, EndToken.WherePadded)]
    [DataRow(RowOrder.Shuffled, EndToken.WherePadded)]
    public void TheyAreThoseOfTheOrder(RowOrder order, EndToken end)
    {
        SupervisedExample[] rows =
            [.. TinyModel.Rows(200).Select(row => row with { PromptLength = 0, EndsIfPadded = end == EndToken.WherePadded })];
        var options = new Options { BatchSize = 4, RowOrder = order, EndToken = end, TrainedTokens = TrainedTokens.All };
        options.NumberOfEpochs = order == RowOrder.Shuffled ? 3 : int.MaxValue;
        (long Tokens, long Labels)[] all = [.. Enumerable.Range(0, 3)
            .SelectMany(new BatchPlan(rows, 4, 1, options.Seed, order).Epoch).SelectMany(step => step)
            .Select(batch => ((long)batch.Count * batch.Max(row => row.Ids.Length), batch.Sum(row => row.Ids.Length - 1L)))];

        MicroBatches batches = MicroBatches.Of(options.ToSettings(), rows, rows);

        Assert.AreEqual(all.Max(batch => batch.Tokens), batches.Training[0].Tokens);
        Assert.AreEqual(all.Max(batch => batch.Labels), batches.Training[^1].Labels);
        IReadOnlyList<SupervisedExample> longest = BatchPlan.ByLength(rows, 4).Last();
        Assert.AreEqual(longest.Sum(row => row.Ids.Length - 1L), batches.Validation[^1].Labels);
    }

    /// <summary>A text that is learnt as a whole is cut at both lengths together; all its tokens but the first are labels.</summary>
    [TestMethod]
    public void AWholeTextHasLabelsAllOver()
    {
        var options = new Options { BatchSize = 4, MaxPromptLength = 6, MaxResponseLength = 5, TrainedTokens = TrainedTokens.All };
        SupervisedExample[] rows = [.. TinyModel.Rows(50).Select(row => row with { PromptLength = 0 })];
        Assert.IsGreaterThan(11, rows.Max(row => row.Ids.Length));

        BatchSizes largest = MicroBatches.Of(options.ToSettings(), rows, []).Training[0];

        Assert.AreEqual(11, largest.Width);
        BatchSizes longest = MicroBatches.Longest(options.ToSettings(), 1000).Training.Single();
        Assert.AreEqual((11L, 40L), (longest.Width, longest.Labels));
        Assert.AreEqual(28L, MicroBatches.Longest(options.ToSettings(), 8).Training.Single().Labels);
        options.TrainedTokens = TrainedTokens.Response;
        Assert.AreEqual(20L, MicroBatches.Longest(options.ToSettings(), 1000).Training.Single().Labels);
    }

    /// <summary>A batch of one row would learn no end: what would take less memory must not ask for it.</summary>
    [TestMethod]
    public void NoRemedyLeavesARowAloneThatLearnsItsEndBesideOthers()
    {
        string Remedies(EndToken end) => string.Join('|', MemoryRemedies
            .Of(new Options { BatchSize = 8, EndToken = end }.ToSettings(), _ => false).Select(remedy => remedy.Text));

        Assert.Contains("BatchSize = 1 and GradientAccumulationSteps = 8", Remedies(EndToken.Always));
        Assert.Contains("BatchSize = 2 and GradientAccumulationSteps = 4", Remedies(EndToken.WherePadded));
        Assert.DoesNotContain("BatchSize = 1", Remedies(EndToken.WherePadded));
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
