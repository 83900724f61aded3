using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Generation.Sampling;

namespace Microsoft.ML.Sorsa.Tests.Generation;

/// <summary>Every method against its definition, written out the slow way.</summary>
[TestClass]
[TestCategory("Generation")]
public sealed class GenerationSamplingTests
{
    private static readonly HashSet<int> Nothing = [];

    [TestMethod]
    public void RepetitionPenaltyDividesPositiveAndMultipliesNegativeScores()
    {
        float[] logits = [3, -3, 0, 5, -7];

        new RepetitionPenalty(1.5).Apply(logits, new HashSet<int> { 0, 1, 2 });

        CollectionAssert.AreEqual(new float[] { 2, -4.5f, 0, 5, -7 }, logits);
    }

    [TestMethod]
    [DataRow(0.5)]
    [DataRow(2.0)]
    public void TemperatureIsTheExponentOfTheProbabilities(double temperature)
    {
        float[] logits = Logits(50, 1);
        double[] expected = [.. logits.Select(z => Math.Exp(z / temperature))];

        new Temperature(temperature).Apply(logits, Nothing);

        AssertEqual([.. expected.Select(p => p / expected.Sum())], Softmax.Of(logits), 1e-6);
    }

    [TestMethod]
    public void ATemperatureNearZeroLeavesTheMostLikelyToken()
    {
        float[] logits = [1e4f, 2e4f, -3e4f];

        new Temperature(double.Epsilon).Apply(logits, Nothing);

        AssertEqual([0, 1, 0], Softmax.Of(logits), 0);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(7)]
    [DataRow(100)]
    [DataRow(101)]
    public void TopKKeepsTheHighestScores(int count)
    {
        float[] logits = Logits(100, 2);
        float[] expected = [.. logits];
        foreach (int id in Enumerable.Range(0, 100).OrderByDescending(id => logits[id]).Skip(count))
        {
            expected[id] = float.NegativeInfinity;
        }

        new TopK(count).Apply(logits, Nothing);

        CollectionAssert.AreEqual(expected, logits);
    }

    [TestMethod]
    public void TopKKeepsTies()
    {
        float[] logits = [1, 3, 2, 2, 0];

        new TopK(2).Apply(logits, Nothing);

        CollectionAssert.AreEqual(new[] { float.NegativeInfinity, 3, 2, 2, float.NegativeInfinity }, logits);
    }

    [TestMethod]
    [DataRow(1e-9)]
    [DataRow(0.2)]
    [DataRow(0.9)]
    [DataRow(0.999)]
    public void TopPKeepsTheSmallestSetThatReachesTheMass(double mass)
    {
        for (int seed = 0; seed < 20; seed++)
        {
            float[] logits = Logits(60, seed);
            double total = logits.Sum(z => Math.Exp(z));

            // A token goes where those at most as likely as it hold no more than 1 − mass; the most likely never goes.
            float[] expected = [.. logits.Select(z =>
                z < logits.Max() && logits.Where(other => other <= z).Sum(other => Math.Exp(other)) / total <= 1 - mass
                    ? float.NegativeInfinity
                    : z)];

            new TopP(mass).Apply(logits, Nothing);

            CollectionAssert.AreEqual(expected, logits);
        }
    }

    [TestMethod]
    public void TopPOfEquallyLikelyTokensKeepsAsManyAsTheMassNeeds()
    {
        float[] logits = [1, 1, 1, 1];

        new TopP(0.6).Apply(logits, Nothing);

        CollectionAssert.AreEqual(new[] { 1, 1, 1, float.NegativeInfinity }, logits);
    }

    [TestMethod]
    public void TopPCountsOnlyWhatTopKLeft()
    {
        float[] logits = [MathF.Log(0.4f), MathF.Log(0.3f), MathF.Log(0.2f), MathF.Log(0.1f)];

        new TopK(2).Apply(logits, Nothing);
        new TopP(0.5).Apply(logits, Nothing);

        // 0.4 of the 0.7 that are left is more than half.
        CollectionAssert.AreEqual(
            new[] { MathF.Log(0.4f), float.NegativeInfinity, float.NegativeInfinity, float.NegativeInfinity }, logits);
    }

    public static IEnumerable<object[]> Rules()
    {
        // Scores 4, 3, 2.7, 0. The penalty makes 0 the third, 2; the temperature doubles what is left; of the two highest, e⁶ and
        // e^5.4, the first alone has more than 0.6. Leave a rule out, or put top-p before another, and more tokens are drawn.
        GenerationOptions all = new() { RepetitionPenalty = 2, Temperature = 0.5, TopK = 2, TopP = 0.6 };
        yield return [all, "1"];
        yield return [all with { RepetitionPenalty = 1 }, "0"];
        yield return [all with { Temperature = 1 }, "1 2"];
        yield return [all with { TopK = 0 }, "1 2"];
        yield return [all with { TopP = 1 }, "1 2"];
        yield return [all with { TopP = 1, TopK = 0 }, "0 1 2 3"];
    }

    [TestMethod]
    [DynamicData(nameof(Rules))]
    public void EveryRuleIsAppliedInTransformersOrder(GenerationOptions options, string drawn)
    {
        TokenSampler sampler = new(options);
        HashSet<int> seen = [0];

        IEnumerable<int> ids = Enumerable.Range(0, 5000).Select(i => sampler.Choose([4, 3, 2.7f, 0], seen, (i + 0.5) / 5000));

        Assert.AreEqual(drawn, string.Join(' ', ids.Distinct().Order()));
    }

    [TestMethod]
    public void DrawsAreAsFrequentAsTheyAreProbable()
    {
        const int Draws = 50_000;
        float[] logits = Logits(12, 5);
        double[] expected = [.. logits.Select(z => Math.Exp(z))];
        TokenSampler sampler = new(new() { Temperature = 1 });
        RowRandom random = new(3, [1, 2, 3]);

        var counts = new int[logits.Length];
        for (int n = 0; n < Draws; n++)
        {
            counts[sampler.Choose([.. logits], Nothing, random.Uniform(n))]++;
        }

        for (int id = 0; id < logits.Length; id++)
        {
            double p = expected[id] / expected.Sum();
            Assert.AreEqual(p, counts[id] / (double)Draws, 4.5 * Math.Sqrt(p * (1 - p) / Draws), $"token {id}");
        }
    }

    [TestMethod]
    public void NoDrawFallsOnAnExcludedToken()
    {
        TokenSampler sampler = new(new() { Temperature = 1, TopK = 1 });

        foreach (double uniform in new[] { 0, 0.5, 1 - 1e-16 })
        {
            Assert.AreEqual(1, sampler.Choose([0, 5, 1, 2], Nothing, uniform));
        }
    }

    [TestMethod]
    public void GreedyTakesTheHighestScoreAfterThePenalty()
    {
        Assert.AreEqual(2, new TokenSampler(new()).Choose([1, -1, 3, 2], Nothing, 0));
        Assert.AreEqual(3, new TokenSampler(new() { RepetitionPenalty = 2 }).Choose([1, -1, 3, 2], new HashSet<int> { 2 }, 0));
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    public void ScoresThatAreNoNumbersAreRefused(float broken) =>
        Assert.Contains(
            "not finite",
            Assert.ThrowsExactly<InvalidDataException>(() => new TokenSampler(new()).Choose([1, broken, 0], Nothing, 0)).Message);

    [TestMethod]
    public void RandomNumbersAreEvenAndBelongToSeedAndPrompt()
    {
        var bins = new int[100];
        RowRandom random = new(0, [7]);
        for (int n = 0; n < 100_000; n++)
        {
            double uniform = random.Uniform(n);
            Assert.IsTrue(uniform is >= 0 and < 1);
            bins[(int)(uniform * 100)]++;
        }

        // χ² with 99 degrees of freedom: 180 is beyond the 1 − 1e-6 quantile.
        Assert.IsLessThan(180.0, bins.Sum(count => (count - 1000.0) * (count - 1000.0) / 1000));

        Assert.AreEqual(random.Uniform(5), new RowRandom(0, [7]).Uniform(5));
        RowRandom[] randoms = [new(0, [7]), new(1, [7]), new(-1, [7]), new(0, [8]), new(0, [7, 7]), new(0, [0]), new(0, [])];
        double[] others = [.. randoms.Select(other => other.Uniform(5))];
        Assert.HasCount(others.Length, others.Distinct());
    }

    private static float[] Logits(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 8 - 4))];
    }

    private static void AssertEqual(double[] expected, double[] actual, double tolerance)
    {
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.AreEqual(expected[i], actual[i], tolerance);
        }
    }
}
