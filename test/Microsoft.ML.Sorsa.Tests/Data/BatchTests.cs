using Microsoft.ML.Sorsa.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Data;

[TestClass]
[TestCategory("Data")]
public sealed class BatchTests
{
    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    public void PlacesAndTargetsAreWhatShiftedLabelsSay(int seed)
    {
        var random = new Random(seed);
        SupervisedExample[] rows = [.. Enumerable.Range(0, 6).Select(_ =>
        {
            int length = random.Next(2, 12);
            return new SupervisedExample([.. Enumerable.Range(0, length).Select(_ => random.Next(1, 90))], random.Next(0, length));
        })];
        using var batch = Batch.Of(rows, padTokenId: 99, CPU);

        // The usual form: labels of the batch's shape, −100 where nothing is learnt, the one at t + 1 against the logits at t.
        int width = rows.Max(row => row.Ids.Length);
        var positions = new List<long>();
        var targets = new List<long>();
        for (int row = 0; row < rows.Length; row++)
        {
            (int[] ids, int prompt) = rows[row];
            int[] labels = [.. Enumerable.Repeat(-100, prompt), .. ids[prompt..], .. Enumerable.Repeat(-100, width - ids.Length)];
            for (int t = 0; t + 1 < width; t++)
            {
                if (labels[t + 1] != -100)
                {
                    positions.Add((row * width) + t);
                    targets.Add(labels[t + 1]);
                }
            }

            long[] expected = [.. ids.Select(id => (long)id), .. Enumerable.Repeat(99L, width - ids.Length)];
            CollectionAssert.AreEqual(expected, batch.InputIds[row].data<long>().ToArray());
        }

        CollectionAssert.AreEqual(positions, batch.LabelPositions.data<long>().ToArray());
        CollectionAssert.AreEqual(targets, batch.Targets.data<long>().ToArray());
        Assert.AreEqual(targets.Count, batch.LabelCount);
        Assert.AreEqual(targets.Count, rows.Sum(row => row.LabelCount));
    }

    [TestMethod]
    public void ABatchOutlivesTheScopeItWasMadeIn()
    {
        Batch batch;
        using (NewDisposeScope())
        {
            batch = Batch.Of([new SupervisedExample([1, 2, 3], 1)], 0, CPU);
        }

        Assert.AreEqual(2, batch.LabelCount);
        Assert.AreEqual(ScalarType.Int64, batch.InputIds.dtype);
        batch.Dispose();
        Assert.IsTrue(batch.InputIds.IsInvalid && batch.LabelPositions.IsInvalid && batch.Targets.IsInvalid);
    }
}
