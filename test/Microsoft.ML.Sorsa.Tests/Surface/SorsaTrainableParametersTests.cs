using Microsoft.ML.Sorsa.Training;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Surface;

[TestClass]
[TestCategory("Surface")]
public sealed class SorsaTrainableParametersTests
{
    /// <summary>By the formulas, for r = 4 in a [128, 128] and a [128, 352] of each of six layers.</summary>
    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa, 6 * 4 * (128 + 1 + 128 + 128 + 1 + 352))]
    [DataRow(FineTuningMethod.Lora, 6 * 4 * (128 + 128 + 128 + 352))]
    [DataRow(FineTuningMethod.RsLora, 6 * 4 * (128 + 128 + 128 + 352))]
    [DataRow(FineTuningMethod.Pissa, 6 * 4 * (128 + 128 + 128 + 352))]
    [DataRow(FineTuningMethod.Dora, 6 * ((4 * (128 + 128 + 128 + 352)) + 128 + 128))]
    [DataRow(FineTuningMethod.AdaLora, 6 * 4 * (128 + 1 + 128 + 128 + 1 + 352))]
    [DataRow(FineTuningMethod.Partial, 6 * ((128 * 128) + (128 * 352)))]
    [DataRow(FineTuningMethod.Full, 1_238_656)]
    [DataRow(FineTuningMethod.GaLore, 1_238_656)]
    [DataRow(FineTuningMethod.Lisa, 1_238_656)]
    public void AreToldAtEveryStep(FineTuningMethod method, int expected)
    {
        Options options = TinyTask.Options();
        (options.Method, options.MaxSteps) = (method, 2);
        options.Rank = options.HasEffect(nameof(options.Rank)) ? options.Rank : null;
        options.TargetModules = !options.HasEffect(nameof(options.TargetModules)) ? new Options().TargetModules : options.TargetModules;
        var told = new List<long>();
        options.Progress = new Listener(told);

        var mlContext = new MLContext();
        using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext));

        CollectionAssert.AreEqual(new long[] { expected, expected }, told);
    }

    private sealed class Listener(List<long> told) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => told.Add(value.TrainableParameters);
    }
}
