using Microsoft.ML.Sorsa.Sweeps;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Options, and the tuners that draw from them.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsSearchSpaceTests
{
    private static readonly TrialHistory s_nothing = new([], IsMaximized: false);

    private static readonly string[] s_modules = ["q_proj", "v_proj"];

    private static readonly string[] s_grid =
    [
        "Gamma=0 Rank=4 Dropout=0", "Gamma=0 Rank=8 Dropout=0", "Gamma=0 Rank=16 Dropout=0",
        "Gamma=0.0004 Rank=4 Dropout=0", "Gamma=0.0004 Rank=8 Dropout=0", "Gamma=0.0004 Rank=16 Dropout=0",
    ];

    public static IEnumerable<object[]> Options =>
    [
        [new UniformDoubleOption(1e-5, 1e-2, logBase: true)],
        [new UniformDoubleOption(-3, 4)],
        [new UniformIntOption(1, 64, logBase: true)],
        [new UniformIntOption(-3, 3)],
        [new ChoiceOption(null, 4e-4, 3, true, FineTuningMethod.Dora, s_modules)],
    ];

    [TestMethod]
    [DynamicData(nameof(Options))]
    public void EveryValueComesBackFromItsText(ISearchOption option)
    {
        for (int i = 0; i < 1000; i++)
        {
            object? value = option.FromUnitInterval(SeededDraw.Uniform(3, $"{i}"));

            Assert.AreEqual(value, option.Parse(ParameterText.Of(value)));
        }
    }

    /// <summary>A value comes back from its number in the unit interval: what the tuner learns from is what was tried.</summary>
    [TestMethod]
    [DynamicData(nameof(Options))]
    public void AValueComesBackFromTheUnitInterval(ISearchOption option)
    {
        foreach (double u in Enumerable.Range(0, 1000).Select(i => i / 1000.0))
        {
            object? value = option.FromUnitInterval(u);
            object? again = option.FromUnitInterval(Math.Min(option.ToUnitInterval(value), 0.9999999));
            if (value is double number)
            {
                Assert.AreEqual(number, (double)again!, Math.Abs(number) * 1e-5);
            }
            else
            {
                Assert.AreEqual(value, again);
            }
        }
    }

    [TestMethod]
    public void EachWholeNumberAndChoiceHasItsShare()
    {
        var counts = Enumerable.Range(0, 7000)
            .Select(i => (int)((ISearchOption)new UniformIntOption(-3, 3)).FromUnitInterval(i / 7000.0)!)
            .GroupBy(value => value)
            .ToDictionary(group => group.Key, group => group.Count());
        Assert.IsTrue(Enumerable.Range(-3, 7).All(value => Math.Abs(counts[value] - 1000) <= 1));
        var choices = Enumerable.Range(0, 300)
            .Select(i => (string)((ISearchOption)new ChoiceOption("a", "b", "c")).FromUnitInterval(i / 300.0)!)
            .GroupBy(value => value)
            .ToDictionary(group => group.Key, group => group.Count());
        Assert.IsTrue(choices.Values.All(count => count == 100));
    }

    [TestMethod]
    public void AGridGoesFromEndToEnd()
    {
        CollectionAssert.AreEqual(
            new object[] { 4, 8, 16, 32, 64 },
            ((ISearchOption)new UniformIntOption(4, 64, logBase: true)).Grid(5).ToArray());
        CollectionAssert.AreEqual(new object[] { 1, 2, 3 }, ((ISearchOption)new UniformIntOption(1, 3)).Grid(9).ToArray());
        object?[] gammas = [.. ((ISearchOption)new UniformDoubleOption(1e-5, 1e-2, logBase: true)).Grid(4)];
        Assert.AreEqual(1e-5, gammas[0]);
        Assert.AreEqual(1e-4, (double)gammas[1]!, 1e-18);
        Assert.AreEqual(1e-2, gammas[3]);
    }

    [TestMethod]
    public void AGridSearchTriesEveryCombinationOnce()
    {
        var space = new SorsaSearchSpace
        {
            ["Gamma"] = new ChoiceOption(0.0, 4e-4),
            ["Rank"] = new UniformIntOption(4, 16, logBase: true),
            ["Dropout"] = new ChoiceOption(0.0),
        };
        var tuner = new GridSearchTuner(3);
        string[] tried = [.. Enumerable.Range(1, 6).Select(trial => Text(tuner.Propose(space, trial, s_nothing, 0)!))];

        CollectionAssert.AreEqual(s_grid, tried);
        Assert.IsNull(tuner.Propose(space, 7, s_nothing, 0));
    }

    [TestMethod]
    public void ARandomSearchDrawsEvenly()
    {
        var space = new SorsaSearchSpace { ["LearningRate"] = new UniformDoubleOption(1e-4, 1e-2, logBase: true) };
        double[] drawn = [.. Enumerable.Range(1, 2000)
            .Select(trial => Math.Log10((double)new RandomSearchTuner().Propose(space, trial, s_nothing, 3)!["LearningRate"]!))
            .Order()];

        // Kolmogorov and Smirnov's distance, at a level of one in a thousand.
        double distance = drawn.Select((value, i) => Math.Abs((value + 4) / 2 - i / 2000.0)).Max();
        Assert.IsLessThan(1.95 / Math.Sqrt(2000), distance);
        Assert.AreNotEqual(
            Text(new RandomSearchTuner().Propose(space, 1, s_nothing, 3)!),
            Text(new RandomSearchTuner().Propose(space, 1, s_nothing, 4)!));
    }

    /// <summary>
    /// On a bowl with its bottom at γ = 4e-4, rank 16 and one of three methods, more of the trials are near it than random ones are.
    /// </summary>
    [TestMethod]
    public void TheParzenEstimatorGoesToTheBottom()
    {
        var space = new SorsaSearchSpace
        {
            ["Gamma"] = new UniformDoubleOption(1e-6, 1, logBase: true),
            ["Rank"] = new UniformIntOption(1, 256, logBase: true),
            ["Method"] = new ChoiceOption(FineTuningMethod.Sorsa, FineTuningMethod.Lora, FineTuningMethod.Dora),
        };
        int better = Enumerable.Range(0, 20).Count(
            seed => Median(space, new TreeParzenTuner(), seed) < Median(space, new RandomSearchTuner(), seed));

        // By chance alone as few as one time in a hundred thousand.
        Assert.IsGreaterThanOrEqualTo(19, better);
    }

    /// <summary>Either density is one: its parts add up to 1 over the unit interval.</summary>
    [TestMethod]
    [DataRow(null)]
    [DataRow(4)]
    public void ADensityAddsUpToOne(int? choices)
    {
        var density = new ParzenDensity([0.125, 0.375, 0.375, 0.9], choices);

        const int Steps = 20000;
        Assert.AreEqual(1, Enumerable.Range(0, Steps).Sum(i => Math.Exp(density.LogDensity((i + 0.5) / Steps))) / Steps, 1e-4);
    }

    /// <summary>What is drawn is spread as the density says.</summary>
    [TestMethod]
    [DataRow(null)]
    [DataRow(4)]
    public void DrawsFollowTheDensity(int? choices)
    {
        var density = new ParzenDensity([0.125, 0.375, 0.375, 0.9], choices);
        const int Draws = 20000, Bins = 8;
        int[] counts = new int[Bins];
        for (int i = 0; i < Draws; i++)
        {
            counts[(int)(density.Draw(SeededDraw.Uniform(1, $"{i}/a"), SeededDraw.Uniform(1, $"{i}/b")) * Bins)]++;
        }

        // A choice is drawn as the middle of its share: two bins are one.
        int wide = choices is null ? 1 : 2;
        for (int bin = 0; bin < Bins; bin += wide)
        {
            double sum = Enumerable.Range(0, 1000).Average(i => Math.Exp(density.LogDensity((bin + wide * (i + 0.5) / 1000) / Bins)));
            double expected = sum * wide / Bins;
            Assert.AreEqual(expected, counts.Skip(bin).Take(wide).Sum() / (double)Draws, 0.015, $"bin {bin}");
        }
    }

    private static double Median(SorsaSearchSpace space, ITuner tuner, int seed)
    {
        var trials = new List<TrialResult>();
        for (int trial = 1; trial <= 40; trial++)
        {
            var settings = new TrialSettings(trial, tuner.Propose(space, trial, new TrialHistory(trials, IsMaximized: false), seed)!);
            double loss = Math.Abs(Math.Log10((double)settings.Parameters["Gamma"]! / 4e-4))
                + Math.Abs(Math.Log2((int)settings.Parameters["Rank"]! / 16.0))
                + ((FineTuningMethod)settings.Parameters["Method"]! == FineTuningMethod.Lora ? 0 : 2);
            trials.Add(new TrialResult { TrialSettings = settings, State = TrialState.Completed, Metric = loss });
        }

        return trials.Skip(20).Select(trial => trial.Metric!.Value).Order().ElementAt(10);
    }

    private static string Text(IReadOnlyDictionary<string, object?> parameters) =>
        string.Join(' ', parameters.Select(parameter => $"{parameter.Key}={ParameterText.Of(parameter.Value)}"));
}
