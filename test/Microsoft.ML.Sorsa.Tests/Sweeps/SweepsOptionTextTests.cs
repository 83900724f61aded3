using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Options as the text that studies and workers hold.</summary>
[TestClass]
public sealed class SweepsOptionTextTests
{
    private static readonly string[] s_modules = ["q_proj", "v_proj"];

    /// <summary>Every public option is written but those of a place and a process, and comes back.</summary>
    [TestMethod]
    public void EveryOptionComesBack()
    {
        var options = new Options
        {
            ModelFolder = "somewhere",
            PromptTemplate = PromptTemplate.Format("a: {prompt}\n"),
            Method = FineTuningMethod.AdaLora,
            Rank = 7,
            Alpha = 1.0 / 3,
            Gamma = 4e-4,
            RankBudget = new RankBudget { TargetRank = 3, Beta1 = 0.1 },
            TargetModules = s_modules,
            LearningRate = Math.BitIncrement(1e-3),
            MaxGradNorm = null,
            HardOrthonormality = true,
            Generation = new GenerationOptions { MaxNewTokens = 5, StopStrings = ["\n", "é"], Temperature = 0.7 },
        };
        var again = new Options { ModelFolder = "somewhere" };
        KeyValuePair<string, string>[] texts = [.. options.ToTexts()];
        foreach ((string name, string text) in texts)
        {
            again.Set(name, text);
        }

        CollectionAssert.AreEqual(texts, again.ToTexts().ToArray());
        foreach (var property in typeof(Options).GetProperties().Where(property => property.SetMethod is { IsPublic: true }))
        {
            switch (property.Name)
            {
                case nameof(Options.ModelFolder) or nameof(Options.Progress) or nameof(Options.CancellationToken):
                    Assert.IsFalse(texts.Any(text => text.Key == property.Name));
                    break;

                case nameof(Options.TargetModules):
                    CollectionAssert.AreEqual(s_modules, again.TargetModules.ToArray());
                    break;

                case nameof(Options.Generation):
                    Assert.AreEqual(5, again.Generation.MaxNewTokens);
                    Assert.AreEqual("\n|é", string.Join('|', again.Generation.StopStrings));
                    Assert.AreEqual(0.7, again.Generation.Temperature);
                    break;

                default:
                    Assert.AreEqual(property.GetValue(options), property.GetValue(again), property.Name);
                    break;
            }
        }
    }

    [TestMethod]
    public void ASplitTakesItsShareAndKeepsTheOrder()
    {
        (string, string)[] rows = [.. Enumerable.Range(0, 101).Select(i => ($"{i}", $"{i}"))];
        SweepData data = SweepData.Split(rows, 0.2, seed: 1), other = SweepData.Split(rows, 0.2, seed: 2);

        Assert.HasCount(20, data.Validation);
        CollectionAssert.AreEquivalent(rows, data.Train.Concat(data.Validation).ToArray());
        Assert.IsTrue(data.Train.Zip(data.Train.Skip(1)).All(pair => int.Parse(pair.First.Prompt, CultureInfo.InvariantCulture) < int.Parse(pair.Second.Prompt, CultureInfo.InvariantCulture)));
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
            new SweepData([("a", "b")], [("c", "d")]).Fingerprint(), new SweepData([("a", "b"), ("c", "d")], []).Fingerprint(), new SweepData([("ab", "")], [("c", "d")]).Fingerprint(),
            new SweepData([("c", "d")], [("a", "b")]).Fingerprint(),
        ];

        Assert.HasCount(4, prints.Distinct());
        Assert.AreEqual(prints[0], new SweepData([("a", "b")], [("c", "d")]).Fingerprint());
    }
}
