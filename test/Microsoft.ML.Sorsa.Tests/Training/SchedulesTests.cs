using System.Text.Json;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>Against transformers' schedules.</summary>
[TestClass]
[TestCategory("Schedules")]
public sealed class SchedulesTests
{
    private static string File => TestData.Golden("numeric", "schedules.json");

    public static IEnumerable<object[]> Schedules
    {
        get
        {
            if (!System.IO.File.Exists(File))
            {
                return [["absent", 0, 0, Array.Empty<double>(), false]];
            }

            using JsonDocument document = JsonDocument.Parse(System.IO.File.ReadAllBytes(File));
            return [.. document.RootElement.EnumerateArray().Select(schedule => new object[]
            {
                schedule.GetProperty("schedule").GetString()!,
                schedule.GetProperty("total_steps").GetInt32(),
                schedule.GetProperty("warmup_steps").GetInt32(),
                schedule.GetProperty("factors").EnumerateArray().Select(factor => factor.GetDouble()).ToArray(),
                schedule.GetProperty("truncated").GetBoolean(),
            })];
        }
    }

    [TestMethod]
    [DynamicData(nameof(Schedules))]
    public void FactorsAreTransformers(string name, int totalSteps, int warmupSteps, double[] factors, bool truncated)
    {
        TestData.Require(File);
        var schedule = new LearningRateSchedule(Enum.Parse<LearningRateDecay>(name, ignoreCase: true), totalSteps, warmupSteps);

        // A truncated list holds its first and its last half.
        int half = factors.Length / 2;
        Assert.AreEqual(truncated, factors.Length < totalSteps);
        for (int i = 0; i < factors.Length; i++)
        {
            int step = truncated && i >= half ? totalSteps - factors.Length + i : i;
            Assert.AreEqual(factors[i], schedule.Factor(step), 1e-15, $"step {step}");
        }
    }

    [TestMethod]
    [DataRow(100, 0.03, 3)]
    [DataRow(101, 0.03, 4)]
    [DataRow(24, 0.1, 3)]
    [DataRow(1, 0.03, 0, DisplayName = "one step has no warm-up: it would train nothing")]
    [DataRow(1, 1.0, 0)]
    [DataRow(2, 0.03, 1)]
    [DataRow(10, 0.0, 0)]
    [DataRow(10, 1.0, 10)]
    public void TheWarmUpIsAShareRoundedUp(int totalSteps, double ratio, int warmupSteps)
    {
        var schedule = LearningRateSchedule.Of(LearningRateDecay.Cosine, totalSteps, ratio);
        var expected = new LearningRateSchedule(LearningRateDecay.Cosine, totalSteps, warmupSteps);

        Assert.IsTrue(Enumerable.Range(0, totalSteps).All(step => schedule.Factor(step) == expected.Factor(step)));
    }
}
