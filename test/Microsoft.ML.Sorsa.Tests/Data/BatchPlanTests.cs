using Microsoft.ML.Sorsa.Data;

namespace Microsoft.ML.Sorsa.Tests.Data;

[TestClass]
[TestCategory("Data")]
public sealed class BatchPlanTests
{
    [TestMethod]
    [DataRow(1, 4, 1)]
    [DataRow(8, 4, 2)]
    [DataRow(1000, 4, 2)]
    [DataRow(1001, 8, 1)]
    [DataRow(129, 1, 3)]
    public void EveryRowComesOncePerEpoch(int count, int batchSize, int accumulation)
    {
        SupervisedExample[] rows = Rows(count);
        var plan = new BatchPlan(rows, batchSize, accumulation, seed: 5);
        for (int epoch = 0; epoch < 3; epoch++)
        {
            var steps = plan.Epoch(epoch).ToList();

            Assert.HasCount(plan.StepsPerEpoch, steps);
            int[] seen = [.. steps.SelectMany(Ids)];
            CollectionAssert.AreEquivalent(rows.Select(row => row.Ids[0]).ToArray(), seen);
            Assert.IsTrue(steps.All(step => step.Count <= accumulation && step.All(micro => micro.Count >= 1 && micro.Count <= batchSize)));
            Assert.IsLessThanOrEqualTo(1, steps.Count(step => step.Sum(micro => micro.Count) < batchSize * accumulation));
        }
    }

    [TestMethod]
    [DataRow(1, 0)]
    [DataRow(2, 0)]
    [DataRow(1, 1)]
    [DataRow(-1, 0)]
    [DataRow(0, 1)]
    public void TheOrderIsTheSeedsAndTheEpochs(int seed, int epoch)
    {
        SupervisedExample[] rows = Rows(200);

        CollectionAssert.AreEqual(Order(seed, epoch), Order(seed, epoch));
        CollectionAssert.AreNotEqual(Order(seed, epoch), Order(seed + 1, epoch));
        CollectionAssert.AreNotEqual(Order(seed, epoch), Order(seed, epoch + 1));
        CollectionAssert.AreNotEqual(Order(seed == 0 ? 3 : seed, epoch), Order(seed == 0 ? -3 : -seed, epoch));

        int[] Order(int seed, int epoch) => [.. new BatchPlan(rows, 4, 2, seed).Epoch(epoch).SelectMany(Ids)];
    }

    /// <summary>Against a slow walk over the data; every epoch alike, whatever the seed.</summary>
    [TestMethod]
    [DataRow(1, 4, 1)]
    [DataRow(203, 4, 3)]
    [DataRow(160, 4, 20)]
    [DataRow(81, 4, 7)]
    [DataRow(50, 3, 40)]
    public void RowsThatAreNotShuffledComeInTheDatasOrder(int count, int batchSize, int accumulation)
    {
        SupervisedExample[] rows = Rows(count);
        int[] given = [.. Enumerable.Range(0, count)], sorted = [.. given];
        for (int bucket = 0; bucket < count; bucket += 20 * batchSize)
        {
            int end = Math.Min(bucket + (20 * batchSize), count);
            for (int i = bucket + 1; i < end; i++)
            {
                for (int j = i; j > bucket && rows[sorted[j]].Length > rows[sorted[j - 1]].Length; j--)
                {
                    (sorted[j], sorted[j - 1]) = (sorted[j - 1], sorted[j]);
                }
            }
        }

        foreach ((RowOrder order, int[] expected) in new[] { (RowOrder.AsGiven, given), (RowOrder.SortedBuckets, sorted) })
        {
            var plan = new BatchPlan(rows, batchSize, accumulation, seed: count, order);
            for (int epoch = 0; epoch < 2; epoch++)
            {
                var steps = plan.Epoch(epoch).ToList();
                Assert.HasCount(plan.StepsPerEpoch, steps);
                CollectionAssert.AreEqual(expected, steps.SelectMany(Ids).ToArray());
                Assert.IsTrue(steps.SkipLast(1).All(
                    step => step.Count == accumulation && step.All(micro => micro.Count == batchSize)));
            }

            int[][] all = [.. plan.Steps(0, 3 * plan.StepsPerEpoch).Select(step => Ids(step).ToArray())];
            for (int first = 0; first < all.Length; first++)
            {
                CollectionAssert.AreEqual(all[first], Ids(plan.Steps(first, all.Length).First()).ToArray());
            }

            Assert.AreEqual(plan.StepsPerEpoch, plan.DistinctSteps(all.Length));
        }
    }

    [TestMethod]
    public void AStepsRowsDoNotDependOnItsCut()
    {
        SupervisedExample[] rows = Rows(203);
        int[][] whole = Steps(8, 1);

        foreach ((int batchSize, int accumulation) in new[] { (4, 2), (2, 4), (1, 8) })
        {
            int[][] cut = Steps(batchSize, accumulation);
            Assert.HasCount(whole.Length, cut);
            Assert.IsTrue(whole.Zip(cut).All(pair => pair.First.SequenceEqual(pair.Second)));
        }

        int[][] Steps(int batchSize, int accumulation) =>
            [.. new BatchPlan(rows, batchSize, accumulation, 7).Epoch(0).Select(step => Ids(step).ToArray())];
    }

    [TestMethod]
    public void RowsOfSimilarLengthStandTogether()
    {
        SupervisedExample[] rows = Rows(1000);

        double planned = Padding(new BatchPlan(rows, 8, 1, 3).Epoch(0).SelectMany(step => step));
        double random = Padding(rows.Chunk(8));

        Assert.IsLessThan(0.25 * random, planned, $"{planned:P1} padded, {random:P1} in the rows' own order");
        Assert.IsLessThan(0.02, Padding(BatchPlan.ByLength(rows, 8)));
    }

    [TestMethod]
    public void MeasuringVisitsEveryRowOnce()
    {
        SupervisedExample[] rows = Rows(50);

        CollectionAssert.AreEquivalent(rows, BatchPlan.ByLength(rows, 8).SelectMany(batch => batch).ToArray());
    }

    /// <summary>The first id tells a row from all others.</summary>
    private static SupervisedExample[] Rows(int count)
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, count).Select(i => new SupervisedExample([i, .. new int[random.Next(1, 100)]], 1))];
    }

    private static IEnumerable<int> Ids(IReadOnlyList<IReadOnlyList<SupervisedExample>> step) =>
        step.SelectMany(micro => micro).Select(row => row.Ids[0]);

    /// <summary>The share of a batch's places that is padding.</summary>
    private static double Padding(IEnumerable<IReadOnlyList<SupervisedExample>> batches)
    {
        long places = 0, tokens = 0;
        foreach (IReadOnlyList<SupervisedExample> batch in batches)
        {
            places += (long)batch.Count * batch.Max(row => row.Ids.Length);
            tokens += batch.Sum(row => (long)row.Ids.Length);
        }

        return 1 - (tokens / (double)places);
    }
}
