using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Tests.Interop;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>What is allowed and likely a mistake, and what ML.NET's log says then.</summary>
[TestClass]
[TestCategory("Surface")]
public sealed class SorsaWarningsTests
{
    private readonly MLContext _mlContext = new();
    private readonly List<string> _warnings = [];

    public SorsaWarningsTests() => _mlContext.Log += (_, e) =>
    {
        if (e.Kind == ChannelMessageKind.Warning)
        {
            _warnings.Add(e.RawMessage);
        }
    };

    private IDataView WithReply => _mlContext.Transforms.CopyColumns("Reply", "Response").Fit(TinyTask.Data(_mlContext))
        .Transform(TinyTask.Data(_mlContext));

    [TestMethod]
    [DataRow("Prompt", "PromptColumnName is the same: the replies would hide the prompts")]
    [DataRow("Response", "ResponseColumnName is the same: the replies would hide the responses")]
    public void AnOutputThatHidesWhatIsTrainedOnIsRefusedWhenTheTrainerIsMade(string output, string problem)
    {
        Options folder = TinyTask.Options(), module = ForeignModelsTrainingTests.Settings([]);
        folder.OutputColumnName = module.OutputColumnName = output;
        using var model = Module();

        foreach (Action make in new Action[]
        {
            () => _mlContext.Sorsa().FineTune(folder),
            () => _mlContext.Sorsa().FineTune(TestData.TinyLlama, outputColumnName: output),
            () => _mlContext.Sorsa().FineTune(model, ForeignModelsTrainingTests.Tokens(), module),
        })
        {
            var error = Assert.ThrowsExactly<ArgumentException>(make);
            Assert.AreEqual("OutputColumnName", error.ParamName);
            Assert.Contains($"OutputColumnName is '{output}', and {problem}. Choose another name, such as Reply.", error.Message);
        }
    }

    [TestMethod]
    public void AModelThatIsLoadedRefusesIt()
    {
        var error = Assert.ThrowsExactly<ArgumentException>(
            () => _mlContext.Sorsa().LoadModel(TestData.TinyLlama, promptColumnName: "Reply"));

        Assert.Contains("outputColumnName is 'Reply', and promptColumnName is the same", error.Message);
    }

    [TestMethod]
    public void FitWarnsOfAColumnThatTheRepliesHide()
    {
        using SorsaTransformer fitted = _mlContext.Sorsa().FineTune(TinyTask.Options()).Fit(WithReply);

        VerifyHidden(1);
    }

    [TestMethod]
    public void FitOfAModelObjectWarnsToo()
    {
        using var model = Module();
        using SorsaTransformer fitted = _mlContext.Sorsa()
            .FineTune(model, ForeignModelsTrainingTests.Tokens(), ForeignModelsTrainingTests.Settings([])).Fit(WithReply);

        VerifyHidden(1);
    }

    [TestMethod]
    public void TransformWarnsWhetherTheModelWasLoadedFromAFolderOrAZip()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = _mlContext.Sorsa().LoadModel(TestData.TinyLlama);
        model.Save(folder.File("model.zip"));
        using SorsaTransformer loaded = _mlContext.Sorsa().LoadZip(folder.File("model.zip"));

        DataViewSchema schema = model.Transform(WithReply).Schema;
        loaded.Transform(WithReply);

        Assert.IsTrue(schema["Reply"].Index > schema["Response"].Index + 1, "the replies are the column of that name");
        VerifyHidden(2);
    }

    [TestMethod]
    public void WhereNothingIsHiddenNothingIsSaid()
    {
        using SorsaTransformer model = _mlContext.Sorsa().LoadModel(TestData.TinyLlama, outputColumnName: "Said");

        model.Transform(WithReply);

        Assert.IsEmpty(_warnings);
    }

    [TestMethod]
    [DataRow(1, null, 3, "only 3 steps (12 rows, 4 a step)", "Raise NumberOfEpochs (now 1; 34 make some 100 steps), lower")]
    [DataRow(1, 1, 1, "only 1 step (12 rows, 4 a step)", "Raise MaxSteps (now 1) and NumberOfEpochs (now 1).")]
    [DataRow(100, 19, 19, "only 19 steps (12 rows, 4 a step)", "Raise MaxSteps (now 19).")]
    [DataRow(7, null, 21, null, null)]
    public void FewStepsAreSaidWithTheRemedy(int epochs, int? maxSteps, int steps, string? problem, string? remedy)
    {
        Options options = TinyTask.Options();
        (options.NumberOfEpochs, options.MaxSteps) = (epochs, maxSteps);
        int taken = 0;
        options.Progress = new Listener(_ => taken++);

        using SorsaTransformer fitted = _mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(_mlContext));

        Assert.AreEqual(steps, taken);
        if (problem is null)
        {
            Assert.IsEmpty(_warnings);
            return;
        }

        string warning = _warnings.Single();
        Assert.Contains(problem, warning);
        Assert.Contains(remedy!, warning);
    }

    private static torch.nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> Module() =>
        LookAlikes.Random("llama", ForeignModelsTrainingTests.Config.Spec);

    private void VerifyHidden(int times)
    {
        string[] hidden = [.. _warnings.Where(warning => warning.Contains("hide", StringComparison.Ordinal))];
        Assert.HasCount(times, hidden);
        Assert.Contains("a column 'Reply', which the replies hide", hidden[0]);
        Assert.Contains("Choose another OutputColumnName", hidden[0]);
    }

    private sealed class Listener(Action<SorsaTrainingProgress> act) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => act(value);
    }
}
