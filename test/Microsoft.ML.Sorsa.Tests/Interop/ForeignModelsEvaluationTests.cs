using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>Likelihoods by model objects of other classes.</summary>
[TestClass]
[TestCategory("ForeignModels")]
[TestCategory("Evaluation")]
public sealed class ForeignModelsEvaluationTests
{
    private static readonly MLContext s_ml = new();

    /// <summary>A model object of another class, without a cache: what it is trained with is what it is judged with.</summary>
    [TestMethod]
    [DataRow("llama")]
    [DataRow("mistral")]
    public void AModelObjectIsScoredAsItIsTrained(string name)
    {
        using var scope = NewDisposeScope();
        using var module = LookAlikes.Random(name, ForeignModelsTrainingTests.Config.Spec);
        module.train();
        var losses = new List<double>();
        Options options = ForeignModelsTrainingTests.Settings([]);
        options.Progress = new Listener(progress => losses.AddRange(progress.ValidationLoss is { } loss ? [loss] : []));
        (options.NumberOfEpochs, options.EvaluationSteps) = (1, 1);
        using SorsaTransformer model = s_ml.Sorsa()
            .FineTune(module, ForeignModelsTrainingTests.Tokens(), options).Fit(TinyTask.Data(s_ml), TinyTask.Data(s_ml));

        SorsaEvaluation evaluation = s_ml.Sorsa().Evaluate(
            model, TinyTask.Data(s_ml), new EvaluationOptions { Grader = AnswerGraders.LastNumber });

        Assert.AreEqual(losses[^1], evaluation.Loss!.Value, 2e-5);
        Assert.AreEqual("last-number", evaluation.Grader);
        Assert.IsTrue(module.training, "its user finds it in the mode that it was in");

        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("text.txt"), "Tom has 3 apples. He buys 5 more.");
        Assert.IsGreaterThan(1, s_ml.Sorsa().EvaluateText(model, folder.File("text.txt"), 8).Perplexity);
        Assert.HasCount(1, s_ml.Sorsa().EvaluateChoices(model, [new("2 + 2?", ["4", "5"], 0)]).Questions);
    }

    private sealed class Listener(Action<SorsaTrainingProgress> listen) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => listen(value);
    }
}
