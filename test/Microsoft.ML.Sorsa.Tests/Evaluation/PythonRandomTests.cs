using Microsoft.ML.Sorsa.Evaluation.Prompts;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>CPython 3.11.7 drew what stands here: <c>r = random.Random(seed)</c>, then <c>r.sample(range(count), size)</c> twice.</summary>
[TestClass]
[TestCategory("Evaluation")]
public sealed class PythonRandomTests
{
    [TestMethod]
    [DataRow(1234, 7473, 5, "6374 3610 957 61 742", "7462 6610 4769 286 5501")]
    [DataRow(0, 10, 10, "6 9 0 2 4 3 5 1 8 7", "9 3 2 7 1 0 6 8 4 5")]
    [DataRow(-7, 21, 5, "10 4 12 1 2", "17 3 11 1 16", DisplayName = "The last list for five, and a seed's sign")]
    [DataRow(42, 22, 5, "20 3 0 8 7", "7 4 3 21 17", DisplayName = "The first without a list for five")]
    [DataRow(1234, 85, 8, "56 14 0 11 74 4 10 12", "45 30 2 3 82 44 61 59", DisplayName = "The last list for eight")]
    [DataRow(1234, 86, 8, "56 14 0 11 74 4 85 10", "12 45 30 2 3 44 82 79", DisplayName = "The first without a list for eight")]
    [DataRow(1234, 100, 8, "99 56 14 0 11 74 4 85", "88 10 12 98 45 30 2 3")]
    [DataRow(2147483647, 1000000, 6, "333193 982290 857058 126209 205885 304472", "926816 752923 348405 7840 827453 564480")]
    [DataRow(-2147483648, 7, 0, "", "")]
    [DataRow(5, 2147483647, 3, "1337671202 548563996 1592975436", "769949150 1707665179 1482723311")]
    [DataRow(99, 1, 1, "0", "0")]
    public void ASampleIsPythons(int seed, int count, int size, string first, string second)
    {
        var random = new PythonRandom(seed);

        Assert.AreEqual(first, string.Join(' ', random.Sample(count, size)));
        Assert.AreEqual(second, string.Join(' ', random.Sample(count, size)));
    }

    /// <summary>Far beyond the first 624 words: what the last of GSM-8K's 1,319 test rows gets.</summary>
    [TestMethod]
    public void TheLastRowOfTheTestFileHasItsExamples()
    {
        var random = new PythonRandom(1234);

        int[][] rows = [.. Enumerable.Range(0, 1319).Select(_ => random.Sample(7473, 5))];

        Assert.AreEqual("220 4179 6064 5599 5541", string.Join(' ', rows[^1]));
    }

    [TestMethod]
    [DataRow(3, 4)]
    [DataRow(3, -1)]
    [DataRow(0, 1)]
    public void MoreThanThereAreIsRefused(int count, int size) =>
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new PythonRandom(1).Sample(count, size));
}
