using System.Globalization;
using QuickStart;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Types;

/// <summary>What bfloat16 costs in quality, on the task of the QuickStart sample.</summary>
[TestClass]
[TestCategory("Mixed")]
public sealed class BFloat16TrainingTests
{
    public TestContext TestContext { get; set; } = null!;

    /// <summary>125 steps of 16 rows, as the sample does; of 200 rows that are not trained on.</summary>
    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void TheValidationLossIsWithinTwoPerCent()
    {
        var task = ArithmeticTask.Load(TestData.TinyLlama);
        (string Question, string Answer)[] validation = [.. task.Draw(200, seed: 2)];
        (string Question, string Answer)[] train =
            [.. task.Draw(2000, seed: 1, validation.Select(row => row.Question).ToHashSet(StringComparer.Ordinal))];

        double wide = Loss(WeightType.Float32), narrow = Loss(WeightType.BFloat16);

        TestContext.WriteLine(string.Create(CultureInfo.InvariantCulture, $"float32 {wide:F5}, bfloat16 {narrow:F5}"));
        Assert.AreEqual(1, narrow / wide, 0.02);

        double Loss(WeightType type)
        {
            var mlContext = new MLContext();
            var options = new Options { ModelFolder = TestData.TinyLlama, ComputeType = type };
            using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(View(train), View(validation));
            return model.Training!.ValidationLosses[^1].Loss;

            IDataView View((string Question, string Answer)[] rows) => mlContext.Data.LoadFromEnumerable(
                rows.Select(row => new Row { Prompt = row.Question, Response = row.Answer }));
        }
    }

    private sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
