using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Limits against the rules' own words, by brute force.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsPruningTests
{
    private static readonly PruningOptions s_halving = new() { ReductionFactor = 3, Median = false, MinimumTrials = 1 };

    private static readonly PruningOptions s_median = new() { SuccessiveHalving = false, MinimumTrials = 3 };

    /// <summary>
    /// Successive halving: at looks 1, 3, 9 the trial goes on if fewer than max(1, ⌊(n + 1) / 3⌋) of the n others were lower; elsewhere
    /// always.
    /// </summary>
    [TestMethod]
    public void HalvingKeepsTheBestThird()
    {
        var random = new Random(4);
        for (int n = 1; n <= 20; n++)
        {
            TrialResult[] others = [.. Enumerable.Range(1, n).Select(_ => Trial(random, 9))];
            var plan = new TrialPlan(new TrialSettings(100, new Dictionary<string, object?>()), new PruningRules(s_halving).Limits(others));
            CurvePoint[] own = [.. Trial(random, 9).Curve];
            for (int look = 1; look <= 9; look++)
            {
                int lower = others.Count(other => Lowest(other, look) < own.Take(look).Min(point => point.Loss));
                bool goesOn = look is not (1 or 3 or 9) || lower < Math.Max(1, (n + 1) / 3);

                Assert.AreEqual(!goesOn, plan.IsToEnd(own[..look]), $"{n} others, look {look}");
            }
        }
    }

    [TestMethod]
    public void TheMedianCountsFromItsLookOn()
    {
        TrialResult[] others = [Of(5, 4, 3), Of(6, 2, 2), Of(7, 6), Of(9)];
        IReadOnlyList<double> limits = new PruningRules(s_median).Limits(others);

        // After two looks three are left, with 4, 2 and 6; after three only two, too few to decide.
        CollectionAssert.AreEqual(new[] { double.PositiveInfinity, 4, double.PositiveInfinity }, limits.ToArray());
        var plan = new TrialPlan(new TrialSettings(9, new Dictionary<string, object?>()), limits);
        Assert.IsFalse(plan.IsToEnd([.. Of(100).Curve]));
        Assert.IsFalse(plan.IsToEnd([.. Of(100, 4).Curve]));
        Assert.IsTrue(plan.IsToEnd([.. Of(100, 4.5).Curve]));
        Assert.IsFalse(plan.IsToEnd([.. Of(3, 100).Curve]), "The lowest loss so far counts.");
        Assert.IsFalse(plan.IsToEnd([.. Of(100, 4, 100, 100).Curve]), "Nothing is known of a fourth look.");
    }

    [TestMethod]
    public void TheMedianOfAnEvenNumberIsBetweenTheTwo() =>
        Assert.AreEqual(3.5, new PruningRules(s_median).Limits([Of(9, 1), Of(9, 3), Of(9, 4), Of(9, 8)])[1]);

    [TestMethod]
    public void WithoutRulesNothingEnds()
    {
        Assert.IsEmpty(new PruningRules(null).Limits([Of(1, 1), Of(1, 1), Of(1, 1), Of(1, 1)]));
        IReadOnlyList<double> limits = new PruningRules(new PruningOptions { SuccessiveHalving = false, Median = false })
            .Limits([Of(1), Of(1), Of(1), Of(1)]);
        Assert.IsTrue(limits.All(double.IsPositiveInfinity));
    }

    [TestMethod]
    public void EveryOptionDecides()
    {
        TrialResult[] others = [.. Enumerable.Range(1, 8).Select(i => Of(i, i, i, i, i, i, i, i))];
        double[] Limits(PruningOptions options) => [.. new PruningRules(options).Limits(others)];
        double[] plain = Limits(new PruningOptions());

        Assert.AreEqual(4, plain[0]);
        Assert.AreEqual(4, plain[1]);
        Assert.AreEqual(4.5, plain[2]);
        Assert.AreEqual(3, Limits(new PruningOptions { ReductionFactor = 3 })[0]);
        Assert.AreEqual(double.PositiveInfinity, Limits(new PruningOptions { FirstRung = 2 })[0]);
        Assert.AreEqual(double.PositiveInfinity, Limits(new PruningOptions { MedianAfter = 4 })[2]);
        Assert.AreEqual(double.PositiveInfinity, Limits(new PruningOptions { MinimumTrials = 9 })[0]);
        Assert.AreEqual(double.PositiveInfinity, Limits(new PruningOptions { SuccessiveHalving = false })[0]);
        Assert.AreEqual(double.PositiveInfinity, Limits(new PruningOptions { Median = false })[2]);
    }

    [TestMethod]
    [DataRow(nameof(PruningOptions.ReductionFactor), 2)]
    [DataRow(nameof(PruningOptions.FirstRung), 1)]
    [DataRow(nameof(PruningOptions.MedianAfter), 1)]
    [DataRow(nameof(PruningOptions.MinimumTrials), 1)]
    public void OptionsOutsideTheirRangeAreRefused(string name, int least)
    {
        var options = new PruningOptions();
        typeof(PruningOptions).GetProperty(name)!.SetValue(options, least - 1);

        ArgumentOutOfRangeException refused = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => SweepTask.Experiment.SetPruning(options).Run());

        Assert.Contains($"PruningOptions.{name} is {least - 1}; it must be at least {least}.", refused.Message);
    }

    private static double Lowest(TrialResult trial, int look) => trial.Curve.Take(look).Min(point => point.Loss);

    private static TrialResult Trial(Random random, int looks) => Of([.. Enumerable.Range(0, looks).Select(_ => random.NextDouble())]);

    private static TrialResult Of(params double[] losses) => new()
    {
        TrialSettings = new TrialSettings(1, new Dictionary<string, object?>()),
        State = TrialState.Completed,
        Metric = losses.Min(),
        Curve = [.. losses.Select((loss, i) => new CurvePoint(i + 1, loss, null))],
    };
}
