using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Sweeps.Report;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Importance against sums done by hand.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsImportanceTests
{
    /// <summary>
    /// Metrics 1, 3 of one choice and 5, 7 of the other: mean 4, squares 9 + 1 + 1 + 9 = 20 in all, 1 + 1 + 1 + 1 = 4 within: η² = 16/20.
    /// ε² = 1 − 0.2 · 3/2 = 0.7.
    /// </summary>
    [TestMethod]
    public void OfAChoiceByItsValues() => AssertImportance(0.8, 0.7, new ChoiceOption("a", "b"), ("a", 1), ("b", 5), ("a", 3), ("b", 7));

    /// <summary>
    /// Six numbers in three groups of two: metrics 0, 2 | 4, 6 | 8, 10, mean 5: 25 + 9 + 1 + 1 + 9 + 25 = 70 in all, 2 · 3 = 6 within: η²
    /// = 64/70. ε² = 1 − 6/70 · 5/3 = 6/7.
    /// </summary>
    [TestMethod]
    public void OfANumberByThreeGroupsOfEqualSize() =>
        AssertImportance(
            64.0 / 70, 6.0 / 7, new UniformDoubleOption(1e-6, 1, logBase: true),
            (1e-6, 0), (1.0, 10), (1e-3, 6), (1e-5, 2), (1e-4, 4), (0.1, 8));

    /// <summary>
    /// Ranks 4, 4, 4, 8, 8, 16: the fours all begin at place 0 of 6, the eights at place 3, in the second third, 16 in the last. Metrics
    /// 1, 1, 1 | 2, 4 | 9: mean 3, 4 + 4 + 4 + 1 + 1 + 36 = 50 in all, 2 within: η² = 0.96, ε² = 1 − 0.04 · 5/3.
    /// </summary>
    [TestMethod]
    public void EqualNumbersStayTogether() =>
        AssertImportance(
            0.96, 1 - 0.04 * 5 / 3, new UniformIntOption(4, 16),
            (4, 1), (8, 2), (4, 1), (16, 9), (8, 4), (4, 1));

    /// <summary>Metrics 1, 3 of both choices: the means are the same, so nothing is explained, and 1 − 1 · 3/2 is not below 0.</summary>
    [TestMethod]
    public void OfAChoiceThatMakesNoDifference() =>
        AssertImportance(0, 0, new ChoiceOption(true, false), (true, 1), (true, 3), (false, 1), (false, 3));

    [TestMethod]
    public void NothingIsSaidWhereChanceExplainsAll()
    {
        Assert.IsEmpty(Of(new ChoiceOption("a", "b"), ("a", 1), ("b", 5)), "as many groups as trials");
        Assert.IsEmpty(Of(new ChoiceOption("a", "b"), ("a", 1), ("a", 5), ("a", 6)), "one group");
        Assert.IsEmpty(Of(new ChoiceOption("a", "b"), ("a", 2), ("b", 2), ("a", 2)), "no variance");
        Assert.IsEmpty(Of(new UniformDoubleOption(0, 1)), "no trial");
    }

    /// <summary>Trials without the parameter, and those without a metric, take no part: what is left is the first example.</summary>
    [TestMethod]
    public void OnlyCompletedTrialsThatHaveTheParameterCount()
    {
        var space = new SorsaSearchSpace { ["X"] = new ChoiceOption("a", "b") };
        TrialResult[] trials =
        [
            Trial(1, "a", 1), Trial(2, "b", 5), Trial(3, "a", 3), Trial(4, "b", 7),
            Trial(5, "b", null) with { State = TrialState.Pruned },
            Trial(6, "b", 100) with { TrialSettings = new TrialSettings(6, new Dictionary<string, object?>()) },
        ];

        ParameterImportance importance = ParameterImportance.Of(SweepsReportData.Report(space, trials)).Single();

        Assert.AreEqual(0.8, importance.Share, 1e-12);
    }

    [TestMethod]
    public void TheMostImportantComesFirst()
    {
        var space = new SorsaSearchSpace { ["Noise"] = new ChoiceOption(1, 2), ["Cause"] = new ChoiceOption(1, 2) };
        TrialResult[] trials = [.. new[] { (1, 1, 0.0), (2, 1, 0.1), (1, 2, 5.0), (2, 2, 5.1) }.Select((trial, i) => new TrialResult
        {
            TrialSettings = new TrialSettings(i + 1, new Dictionary<string, object?> { ["Noise"] = trial.Item1, ["Cause"] = trial.Item2 }),
            State = TrialState.Completed,
            Metric = trial.Item3,
        })];

        IReadOnlyList<ParameterImportance> importances = ParameterImportance.Of(SweepsReportData.Report(space, trials));
        Assert.AreEqual("Cause Noise", string.Join(' ', importances.Select(importance => importance.Parameter)));
    }

    private static void AssertImportance(
        double share, double beyondChance, ISearchOption option, params (object Value, double Metric)[] trials)
    {
        ParameterImportance importance = Of(option, trials).Single();

        Assert.AreEqual("X", importance.Parameter);
        Assert.AreEqual(share, importance.Share, 1e-12);
        Assert.AreEqual(beyondChance, importance.BeyondChance, 1e-12);
    }

    private static IReadOnlyList<ParameterImportance> Of(ISearchOption option, params (object Value, double Metric)[] trials) =>
        ParameterImportance.Of(SweepsReportData.Report(
            new SorsaSearchSpace { ["X"] = option },
            [.. trials.Select((trial, i) => Trial(i + 1, trial.Value, trial.Metric))]));

    private static TrialResult Trial(int id, object value, double? metric) => new()
    {
        TrialSettings = new TrialSettings(id, new Dictionary<string, object?> { ["X"] = value }),
        State = TrialState.Completed,
        Metric = metric,
    };
}
