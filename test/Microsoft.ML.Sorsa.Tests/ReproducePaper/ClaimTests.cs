using ReproducePaper.Report;

namespace Microsoft.ML.Sorsa.Tests.ReproducePaper;

/// <summary>What data say of a claim: only an interval without 0 decides.</summary>
[TestClass]
[TestCategory("Samples")]
public sealed class ClaimTests
{
    [TestMethod]
    public void ADifferenceBeyondItsIntervalDecidesBothWays()
    {
        // Differences 2, 3, 4: mean 3, s = 1, t(2) = 4.303, so 3 ± 2.48.
        double?[] first = [12, 13, 14], second = [10, 10, 10];

        Assert.AreEqual(Verdict.Supports, Claim.Of("", larger: true, first, second, "points").Verdict);
        Assert.AreEqual(Verdict.Contradicts, Claim.Of("", larger: false, first, second, "points").Verdict);
        Assert.AreEqual(Verdict.Contradicts, Claim.Of("", larger: true, second, first, "points").Verdict);
        StringAssert.StartsWith(Claim.Of("", larger: true, first, second, "points").Evidence, "Difference +3 ± 2.48 points over 3 seeds");
    }

    /// <summary>Means far apart, and seeds too.</summary>
    [TestMethod]
    public void ADifferenceWithinItsIntervalDecidesNothing() =>
        Assert.AreEqual(Verdict.CannotTell, Claim.Of("", larger: true, [90, 50, 70], [20, 60, 30], "points").Verdict);

    /// <summary>What a seed does to both sides is no difference between them.</summary>
    [TestMethod]
    public void SeedsArePaired() =>
        Assert.AreEqual(Verdict.Supports, Claim.Of("", larger: true, [11, 51, 91.5], [10, 50, 90], "points").Verdict);

    [TestMethod]
    [DataRow(1, "One seed", DisplayName = "one seed")]
    [DataRow(0, "not measured", DisplayName = "none")]
    public void OneSeedDecidesNothing(int seeds, string says)
    {
        double?[] first = [.. Enumerable.Repeat<double?>(5, seeds)], second = [.. Enumerable.Repeat<double?>(1, seeds)];
        Claim claim = Claim.Of("", larger: true, first, second, "points");

        Assert.AreEqual(Verdict.CannotTell, claim.Verdict);
        StringAssert.Contains(claim.Evidence, says);
    }

    /// <summary>A seed that diverged on one side is no difference.</summary>
    [TestMethod]
    public void WhatWasNotMeasuredIsLeftOut() =>
        StringAssert.Contains(Claim.Of("", larger: true, [1, null, 3, 4], [0, 9, null, 1], "points").Evidence, "over 2 seeds");

    /// <summary>Nor does a difference that is the same for every seed: it has no interval.</summary>
    [TestMethod]
    [DataRow(1.0)]
    [DataRow(2.0)]
    public void NumbersThatSeedsDoNotMoveDecideNothing(double second) =>
        Assert.AreEqual(Verdict.CannotTell, Claim.Of("", larger: false, [1, 1, 1], [second, second, second], "points").Verdict);

    [TestMethod]
    [DataRow(double.NaN)]
    [DataRow(double.PositiveInfinity)]
    public void WhatIsNoNumberDecidesNothing(double value)
    {
        Claim claim = Claim.Of("", larger: true, [value, value, value], [1, 1, 1], "points");

        Assert.AreEqual(Verdict.CannotTell, claim.Verdict);
        StringAssert.Contains(claim.Evidence, "3 of 3 seeds");
    }

    /// <summary>One more right of 200, for every seed: other questions might give one less.</summary>
    [TestMethod]
    public void AShareHasTheIntervalOfItsQuestions()
    {
        double?[] first = [0.985, 0.99, 0.995], second = [0.98, 0.985, 0.99];

        Assert.AreEqual(Verdict.CannotTell, Claim.Of("", larger: true, first, second, "points", scale: 100, questions: 200).Verdict);

        // 60 % against 40 % of 200: the standard error of the difference is some five points.
        double?[] high = [0.595, 0.6, 0.605], low = [0.4, 0.4, 0.4];
        Claim claim = Claim.Of("", larger: true, high, low, "points", scale: 100, questions: 200);
        Assert.AreEqual(Verdict.Supports, claim.Verdict);
        StringAssert.Contains(claim.Evidence, "+20 ± 9.");
    }

    /// <summary>Against the definition: no other point is as far left and as far up.</summary>
    [TestMethod]
    public void TheParetoFrontHoldsWhatNothingBeats()
    {
        var random = new Random(3);
        for (int round = 0; round < 200; round++)
        {
            (double X, double Y)[] points = [.. Enumerable.Range(0, 12).Select(_ => ((double)random.Next(6), (double)random.Next(6)))];
            (double X, double Y)[] expected =
            [
                .. points.Where(point => !points.Any(other => other != point && other.X <= point.X && other.Y >= point.Y))
                    .Distinct().OrderBy(point => point.X),
            ];

            CollectionAssert.AreEqual(expected, ParetoFront.Of(points).ToArray());
        }
    }
}
