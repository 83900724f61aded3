using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>What a log says of losses that go wrong.</summary>
[TestClass]
[TestCategory("Training")]
public sealed class LossWatchTests
{
    private const int Vocabulary = 32000;

    [TestMethod]
    public void AJumpIsToldOnceWithItsStep()
    {
        List<string> warnings = Watch([.. Enumerable.Repeat(1.0, 10), 9, 9, 9, .. Enumerable.Repeat(1.0, 10)]);

        Assert.HasCount(1, warnings);
        StringAssert.Contains(warnings[0], "The loss jumped to 9 at step 11; the median of the 10 steps before is 1.");
    }

    /// <summary>Three times the median, or half of what a model that knows nothing has: ln 32000 / 2 = 5.19.</summary>
    [TestMethod]
    [DataRow(1.0, 5.1, false)]
    [DataRow(1.0, 5.2, true)]
    [DataRow(3.0, 8.9, false)]
    [DataRow(3.0, 9.1, true)]
    public void AJumpIsAboveBothLimits(double median, double loss, bool told) =>
        Assert.HasCount(told ? 1 : 0, Watch([.. Enumerable.Repeat(median, 10), loss, .. Enumerable.Repeat(median, 10)]));

    [TestMethod]
    public void EndingWorseThanItBeganIsTold()
    {
        List<string> warnings = Watch([.. Enumerable.Range(0, 40).Select(step => 2 + (step * 0.01))]);

        Assert.HasCount(1, warnings);
        StringAssert.Contains(warnings[0], "ended worse than it began");
    }

    [TestMethod]
    public void ALossThatFallsIsNothingToTell() => Assert.IsEmpty(Watch([.. Enumerable.Range(0, 40).Select(step => 2 - (step * 0.01))]));

    private static List<string> Watch(double[] losses)
    {
        List<string> warnings = [];
        var watch = new LossWatch(Vocabulary, warnings.Add);
        for (int step = 1; step <= losses.Length; step++)
        {
            watch.AfterStep(losses[..step]);
        }

        watch.AtEnd(losses);
        return warnings;
    }
}
