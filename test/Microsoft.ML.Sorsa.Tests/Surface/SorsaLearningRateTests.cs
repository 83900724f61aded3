using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Training;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>A learning rate that is not set is the method's own, and docs/options.md says which that is and where it comes from.</summary>
[TestClass]
[TestCategory("Surface")]
public sealed partial class SorsaLearningRateTests
{
    public static IEnumerable<object[]> Methods => Enum.GetValues<FineTuningMethod>().Select(method => new object[] { method });

    [TestMethod]
    [DynamicData(nameof(Methods))]
    public void TheDefaultIsTheOneThatTheDocumentLists(FineTuningMethod method)
    {
        string document = File.ReadAllText(Path.Combine(TestData.Root, "docs", "options.md"));
        double listed = double.Parse(
            Line().Matches(document).Single(line => line.Groups[1].Value.Split(", ").Contains(method.ToString())).Groups[2].Value,
            CultureInfo.InvariantCulture);

        Assert.AreEqual(listed, new Options { Method = method }.ToSettings().Training.LearningRate);
        Assert.AreEqual(0.123, new Options { Method = method, LearningRate = 0.123 }.ToSettings().Training.LearningRate);
    }

    /// <summary>What it was before it depended on the method: a training that sets nothing goes on as it did.</summary>
    [TestMethod]
    public void SorsasDefaultStays() => Assert.AreEqual(5e-4, MethodCatalog.Get(FineTuningMethod.Sorsa).DefaultLearningRate);

    [TestMethod]
    public void TheTrainingTakesItAndTheLogNamesIt()
    {
        var mlContext = new MLContext();
        var (steps, log) = (new List<SorsaTrainingProgress>(), new List<string>());
        mlContext.Log += (_, e) => log.Add(e.RawMessage);
        Options options = TinyTask.Options();
        (options.Method, options.LearningRate, options.WarmupRatio) = (FineTuningMethod.Lora, null, 0);
        options.Progress = new Listener(steps.Add);

        using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext));

        Assert.AreEqual(3e-3, steps[0].LearningRate, 1e-12);
        Assert.IsTrue(log.Any(message => message.Contains("learning rate of 0.003 at its peak", StringComparison.Ordinal)));
    }

    /// <summary>A line of the table: | Lora, Dora | 3e-3 | ...</summary>
    [GeneratedRegex(@"^\| ([A-Za-z, ]+) \| (\d+e-\d+) \|", RegexOptions.Multiline)]
    private static partial Regex Line();

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
