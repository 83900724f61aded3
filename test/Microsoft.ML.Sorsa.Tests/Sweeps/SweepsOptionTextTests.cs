using System.Globalization;
using System.Reflection;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Sweeps;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Options as the text that studies and workers hold.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsOptionTextTests
{
    private static readonly PropertyInfo[] s_options = [.. typeof(Options).GetProperties()
        .Where(property => property.SetMethod is { IsPublic: true }
            && property.Name is not
                (nameof(Options.ModelFolder) or nameof(Options.MapWeights) or nameof(Options.Progress)
                or nameof(Options.CancellationToken) or nameof(Options.CheckpointFolder) or nameof(Options.CheckpointSteps)
                or nameof(Options.KeepCheckpoints) or nameof(Options.Resume)
                or nameof(Options.MemoryCheck) or nameof(Options.Analysis)
                or nameof(Options.TensorBoardFolder) or nameof(Options.Ranks)))];

    private static readonly string[] s_modules = ["q_proj", "v_proj"];

    /// <summary>Every public option is written but those of a place and a process, and comes back.</summary>
    [TestMethod]
    public void EveryOptionComesBack()
    {
        var options = new Options { ModelFolder = "somewhere" };
        foreach (PropertyInfo property in s_options)
        {
            property.SetValue(options, Other(property.PropertyType, property.GetValue(options)));
        }

        var again = new Options { ModelFolder = "somewhere" };
        KeyValuePair<string, string>[] texts = [.. options.ToTexts()];
        foreach ((string name, string text) in texts)
        {
            again.Set(name, text);
        }

        CollectionAssert.AreEqual(texts, again.ToTexts().ToArray());
        var untouched = new Options();
        foreach (PropertyInfo property in s_options)
        {
            Assert.AreNotEqual(
                Text(untouched, property),
                Text(options, property),
                $"{property.Name} must not be at its default, or the test says nothing of it.");
            Assert.AreEqual(Text(options, property), Text(again, property), property.Name);
        }

        CollectionAssert.AreEquivalent(s_options.Select(property => property.Name).ToArray(), texts.Select(text => text.Key).ToArray());
    }

    [TestMethod]
    public void ATemplateComesBackWithWhatItDoesToSpecialTokens()
    {
        PromptTemplate chat = PromptTemplate.Chat, format = PromptTemplate.Format("chat{prompt}");
        foreach (PromptTemplate template in new[]
        {
            chat, chat with { SplitSpecialTokens = false }, format, format with { SplitSpecialTokens = true },
        })
        {
            string text = new Options { PromptTemplate = template }.ToTexts().Single(option => option.Key == "PromptTemplate").Value;
            var again = new Options();
            again.Set("PromptTemplate", text);

            Assert.AreEqual(template, again.PromptTemplate);
            Assert.AreEqual(template.ToString(), again.PromptTemplate.ToString());
        }

        // Studies of version 0.1 hold these two forms.
        Assert.AreEqual("chat", new Options { PromptTemplate = chat }.ToTexts().Single(option => option.Key == "PromptTemplate").Value);
    }

    /// <summary>Another value than the one that is there.</summary>
    private static object Other(Type type, object? value) => (Nullable.GetUnderlyingType(type) ?? type) switch
    {
        var bare when bare == typeof(double) => Math.BitIncrement((double)(value ?? 0.1)) + 1.0 / 3,
        var bare when bare == typeof(int) => (int)(value ?? 3) + 4,
        var bare when bare == typeof(bool) => !(bool)value!,
        var bare when bare == typeof(string) => value + " é",
        var bare when bare.IsEnum => Enum.GetValues(bare).Cast<object>().Last(member => !member.Equals(value)),
        var bare when bare == typeof(IReadOnlyList<string>) => s_modules,
        var bare when bare == typeof(PromptTemplate) => PromptTemplate.Format("a: {prompt}\n"),
        var bare when bare == typeof(RankBudget) => new RankBudget
        {
            TargetRank = 3,
            WarmupSteps = 1,
            FinalSteps = 2,
            Interval = 4,
            Beta1 = 0.1,
            Beta2 = 0.2,
        },
        var bare when bare == typeof(GradientProjection) => new GradientProjection { UpdateSteps = 7, Scale = 1.0 / 3, TargetsOnly = true },
        var bare when bare == typeof(LayerSampling) => new LayerSampling { Layers = 3, IntervalSteps = 5 },
        var bare when bare == typeof(GenerationOptions) => new GenerationOptions
        {
            MaxNewTokens = 5,
            StopStrings = ["\n", "é"],
            Temperature = 0.7,
            TopP = 0.5,
            TopK = 3,
            RepetitionPenalty = 1.5,
            BatchSize = 2,
            Seed = 9,
        },
        var bare => throw new NotSupportedException($"The test has no value of type {bare}."),
    };

    private static string Text(Options options, PropertyInfo property) => property.GetValue(options) switch
    {
        IReadOnlyList<string> names => string.Join('|', names),
        GenerationOptions generation => string.Join('|', generation with { StopStrings = [] }, string.Join('|', generation.StopStrings)),
        double number => BitConverter.DoubleToInt64Bits(number).ToString(CultureInfo.InvariantCulture),
        var value => $"{value}",
    };

    [TestMethod]
    public void ASplitTakesItsShareAndKeepsTheOrder()
    {
        (string, string)[] rows = [.. Enumerable.Range(0, 101).Select(i => ($"{i}", $"{i}"))];
        SweepData data = SweepData.Split(rows, 0.2, seed: 1), other = SweepData.Split(rows, 0.2, seed: 2);

        Assert.HasCount(20, data.Validation);
        CollectionAssert.AreEquivalent(rows, data.Train.Concat(data.Validation).ToArray());
        int[] order = [.. data.Train.Select(row => int.Parse(row.Prompt, CultureInfo.InvariantCulture))];
        Assert.IsTrue(order.Zip(order.Skip(1)).All(pair => pair.First < pair.Second));
        CollectionAssert.AreEqual(data.Validation.ToArray(), SweepData.Split(rows, 0.2, seed: 1).Validation.ToArray());
        CollectionAssert.AreNotEqual(data.Validation.ToArray(), other.Validation.ToArray());
        Assert.HasCount(1, SweepData.Split(rows[..3], 0.01, seed: 1).Validation);
    }

    /// <summary>Neither a row that moved from training to validation, nor a letter that moved to its neighbour, is the same data.</summary>
    [TestMethod]
    public void DataHaveAFingerprint()
    {
        string[] prints =
        [
            new SweepData([("a", "b")], [("c", "d")]).Fingerprint(),
            new SweepData([("a", "b"), ("c", "d")], []).Fingerprint(),
            new SweepData([("ab", "")], [("c", "d")]).Fingerprint(),
            new SweepData([("c", "d")], [("a", "b")]).Fingerprint(),
        ];

        Assert.HasCount(4, prints.Distinct());
        Assert.AreEqual(prints[0], new SweepData([("a", "b")], [("c", "d")]).Fingerprint());
    }
}
