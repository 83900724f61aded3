using System.Text.Json;
using global::QuickStart;

namespace Microsoft.ML.Sorsa.Tests.QuickStart;

[TestClass]
[TestCategory("Samples")]
public sealed class ArithmeticTaskTests
{
    private static readonly ArithmeticTask Arithmetic = ArithmeticTask.Load(TestData.TinyLlama);

    /// <summary>The matcher against rows that the model's authors drew, which name their family.</summary>
    [TestMethod]
    [DynamicData(nameof(DrawnElsewhere))]
    public void RowsDrawnElsewhereAreOfTheSameFamilies(string path)
    {
        TestData.Require(path);
        using ArithmeticRowMatcher matcher = new();
        foreach (string line in File.ReadLines(path))
        {
            using JsonDocument row = JsonDocument.Parse(line);
            string answer = row.RootElement.GetProperty("answer").GetString()!;
            string family = matcher.FamilyOf(row.RootElement.GetProperty("question").GetString()!, answer);
            if (row.RootElement.TryGetProperty("family", out JsonElement named))
            {
                Assert.AreEqual(named.GetString(), family, line);
            }

            Assert.AreEqual(answer.Split("#### ")[1], ArithmeticTask.FinalAnswer(answer), line);
        }
    }

    [TestMethod]
    [DataRow("Tom has 12 apples. He buys 5 more. How many apples does Tom have now?", "There are 12 + 5 = 18 apples now.\n#### 18")]
    [DataRow("Tom has 12 apples. She buys 5 more. How many apples does Tom have now?", "There are 12 + 5 = 17 apples now.\n#### 17")]
    [DataRow("Tom has 12 apples. He buys 5 more. How many apples does Tom have now?", "There are 12 + 5 = 17 pears now.\n#### 17")]
    [DataRow("Tom has 99 apples. He buys 5 more. How many apples does Tom have now?", "There are 99 + 5 = 104 apples now.\n#### 104")]
    [DataRow("Tom has 90 apples. He buys 31 more. How many apples does Tom have now?", "There are 90 + 31 = 121 apples now.\n#### 121")]
    [DataRow("Tom made 12 nuts. Tom made 5 more. How many nuts did Tom make?", "Tom has 12 + 5 = 17 nuts.\n#### 17")]
    public void TheMatcherNoticesAWrongRow(string question, string answer)
    {
        using ArithmeticRowMatcher matcher = new();
        Assert.ThrowsExactly<AssertFailedException>(() => matcher.FamilyOf(question, answer));
    }

    [TestMethod]
    public void DrawnRowsAreTrueAndTheFamiliesComeByTheirWeights()
    {
        const int Rows = 3000;
        using ArithmeticRowMatcher matcher = new();
        Dictionary<string, double> weights = matcher.Weights;
        Dictionary<string, int> drawn = weights.Keys.ToDictionary(family => family, _ => 0);
        foreach ((string question, string answer) in Arithmetic.Draw(Rows, seed: 7))
        {
            drawn[matcher.FamilyOf(question, answer)]++;
        }

        foreach ((string family, double weight) in weights)
        {
            double share = weight / weights.Values.Sum();
            double deviation = Math.Sqrt(Rows * share * (1 - share));
            Assert.AreEqual(Rows * share, drawn[family], 4 * deviation, family);
        }
    }

    [TestMethod]
    public void TheSeedAloneDecidesTheRows()
    {
        Assert.AreSequenceEqual(Arithmetic.Draw(100, seed: 1), ArithmeticTask.Load(TestData.TinyLlama).Draw(100, seed: 1));
        Assert.AreSequenceEqual(Arithmetic.Draw(10, seed: 1), Arithmetic.Draw(100, seed: 1).Take(10));
        Assert.IsFalse(Arithmetic.Draw(100, seed: 1).SequenceEqual(Arithmetic.Draw(100, seed: 2)));
    }

    [TestMethod]
    public void ExcludedQuestionsAreLeftOut()
    {
        var all = Arithmetic.Draw(200, seed: 3);
        HashSet<string> excluded = [.. all.Where((_, at) => at % 3 == 0).Select(row => row.Question)];

        var rest = Arithmetic.Draw(100, seed: 3, excluded);

        Assert.AreSequenceEqual(all.Where(row => !excluded.Contains(row.Question)).Take(100), rest);
    }

    [TestMethod]
    [DataRow("5 + 3 = 8.\n#### 8", "8")]
    [DataRow("#### 120\n", "120")]
    [DataRow("#### 12 apples", "12")]
    [DataRow("#### -3", "-3")]
    [DataRow("#### 1,234,567", "1234567")]
    [DataRow("#### 1\n#### 2", "1")]
    [DataRow("", null)]
    [DataRow("The answer is 8.", null)]
    [DataRow("####8", null)]
    [DataRow("####  8", null)]
    [DataRow("### 8", null)]
    [DataRow("#### 8.", null)]
    [DataRow("#### 8.5", null)]
    [DataRow("#### 1,2", null)]
    [DataRow("#### 12345,678", null)]
    [DataRow("#### 8x", null)]
    [DataRow("#### $8", null)]
    [DataRow("#### \u0668", null)]
    public void TheFinalAnswerIsTheIntegerAfterTheMark(string reply, string? expected) =>
        Assert.AreEqual(expected, ArithmeticTask.FinalAnswer(reply));

    private static IEnumerable<object[]> DrawnElsewhere() =>
        TestData.Rows(TestData.Shared("data", "tiny-math"), "*.jsonl").Append([Path.Combine(TestData.TinyLlama, "sample.jsonl")]);
}
