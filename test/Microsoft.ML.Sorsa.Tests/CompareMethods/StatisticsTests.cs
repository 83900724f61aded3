using CompareMethods;

namespace Microsoft.ML.Sorsa.Tests.CompareMethods;

[TestClass]
[TestCategory("Samples")]
public sealed class StatisticsTests
{
    /// <summary>With x = √ν tan θ Student's density is cosᵛ⁻¹ θ up to a factor: 95 % of its area lies within the interval.</summary>
    [TestMethod]
    public void TheIntervalHolds95PercentOfStudentsDistribution()
    {
        for (int count = 2; count <= Statistics.MostValues; count++)
        {
            int freedom = count - 1;
            double[] values = [.. Enumerable.Range(0, count).Select(i => Math.Sin(i))];
            double mean = values.Average(), deviation = Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / freedom);

            double t = Statistics.HalfInterval(values)!.Value * Math.Sqrt(count) / deviation;

            Assert.AreEqual(0.95, Area(freedom, Math.Atan(t / Math.Sqrt(freedom))) / Area(freedom, Math.PI / 2), 1e-4, $"{count} values");
        }
    }

    [TestMethod]
    public void OneValueHasNoInterval() => Assert.IsNull(Statistics.HalfInterval([0.5]));

    [TestMethod]
    [DataRow(new double[] { 3 }, 3)]
    [DataRow(new double[] { 9, 1, 2 }, 2)]
    [DataRow(new double[] { 4, 1, 9, 2 }, 3)]
    public void TheMedianIsTheMiddle(double[] values, double expected) => Assert.AreEqual(expected, Statistics.Median(values));

    /// <summary>∫ cosᵛ⁻¹ from 0, by midpoints.</summary>
    private static double Area(int freedom, double end)
    {
        const int Parts = 10_000;
        return Enumerable.Range(0, Parts).Sum(i => Math.Pow(Math.Cos((i + 0.5) * end / Parts), freedom - 1)) * end / Parts;
    }
}
