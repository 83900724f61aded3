using ReproducePaper;

namespace Microsoft.ML.Sorsa.Tests.ReproducePaper;

/// <summary>The rates that a search tries.</summary>
[TestClass]
[TestCategory("Samples")]
public sealed class RateGridTests
{
    [TestMethod]
    public void RatesAreOneTwoAndFiveTimesThePowersOfTen()
    {
        double[] upwards = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2];
        for (int i = 1; i < upwards.Length; i++)
        {
            Assert.AreEqual(upwards[i], RateGrid.Next(upwards[i - 1], 1));
            Assert.AreEqual(upwards[i - 1], RateGrid.Next(upwards[i], -1));
            Assert.AreEqual(upwards[i], RateGrid.Nearest(upwards[i]));
        }
    }

    [TestMethod]
    [DataRow(3e-5, 2e-5)]
    [DataRow(3.3e-5, 5e-5)]
    [DataRow(7.5e-4, 1e-3)]
    [DataRow(1.4e-2, 1e-2)]
    [DataRow(9.9e-3, 1e-2)]
    public void ARateIsRoundedOnALogarithmicScale(double rate, double expected) => Assert.AreEqual(expected, RateGrid.Nearest(rate));
}
