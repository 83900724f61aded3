using Microsoft.ML.Sorsa.DataViews;
using Microsoft.ML.Sorsa.Tests.Sweeps;
using Microsoft.ML.Sorsa.Training;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>Many trainings over one model that is opened once.</summary>
[TestClass]
[TestCategory("Surface")]
public sealed class SorsaBaseModelTests
{
    private static readonly IReadOnlyList<(string, string)> s_train = Rows(SweepTask.Train), s_validation = Rows(SweepTask.Validation);

    /// <summary>A training over an opened model is the one that the trainer does, whatever was trained before it.</summary>
    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa)]
    [DataRow(FineTuningMethod.Full)]
    public void ATrainingGivesWhatTheTrainerGives(FineTuningMethod method)
    {
        using var folder = new TemporaryFolder();
        Options options = Few(method);
        var losses = new Losses();
        using (SorsaBaseModel model = SweepTask.Context.Sorsa().OpenBaseModel(SweepTask.Trainer, largestRank: 4, folder.Path))
        {
            model.FineTune(Few(FineTuningMethod.Lora), s_train, s_validation).Model.Dispose();
            options.Progress = losses;
            (SorsaTransformer trained, double? orthonormality) = model.FineTune(options, s_train, s_validation);
            trained.Dispose();
            Assert.AreEqual(method == FineTuningMethod.Sorsa, orthonormality is not null);
        }

        var alone = new Losses();
        options.Progress = alone;
        SweepTask.Context.Sorsa().FineTune(options).Fit(SweepTask.Train, SweepTask.Validation).Dispose();

        Assert.HasCount(3, alone.Values);
        CollectionAssert.AreEqual(alone.Values, losses.Values);
    }

    [TestMethod]
    public void RowsAreTokenizedOncePerPairOfLengths()
    {
        using var folder = new TemporaryFolder();
        using SorsaBaseModel model = SweepTask.Context.Sorsa().OpenBaseModel(SweepTask.Trainer, largestRank: 4, folder.Path);
        Options shorter = Few(FineTuningMethod.Sorsa);
        shorter.MaxPromptLength = 40;
        foreach (Options options in new[] { Few(FineTuningMethod.Sorsa), Few(FineTuningMethod.Sorsa), shorter })
        {
            model.FineTune(options, s_train, s_validation).Model.Dispose();
        }

        Assert.AreEqual((120, 60), (model.SharedWork.RowsTokenized, model.SharedWork.RowsReused));
        Assert.AreEqual(2, model.SharedWork.ModelLoadsSaved);
        Assert.AreEqual(2 * model.SharedWork.Decompositions, model.SharedWork.DecompositionsReused);
    }

    [TestMethod]
    public void WhatTheModelWasNotOpenedWithIsRefused()
    {
        using var folder = new TemporaryFolder();
        using SorsaBaseModel model = SweepTask.Context.Sorsa().OpenBaseModel(SweepTask.Trainer, largestRank: 4, folder.Path);
        Options tf32 = Few(FineTuningMethod.Sorsa);
        Options bfloat16 = Few(FineTuningMethod.Sorsa), tooLarge = Few(FineTuningMethod.Sorsa), early = Few(FineTuningMethod.Sorsa);
        tf32.AllowTf32 = true;
        bfloat16.ComputeType = WeightType.BFloat16;
        tooLarge.Rank = 8;
        early.EarlyStoppingPatience = 1;

        void Refused(string message, Options options, IReadOnlyList<(string, string)>? validation) =>
            Assert.Contains(message, Assert.Throws<ArgumentException>(() => model.FineTune(options, s_train, validation)).Message);
        Refused("AllowTf32 is True, and the model was opened with False", tf32, s_validation);
        Refused("ComputeType is BFloat16, and the model was opened with Float32", bfloat16, s_validation);
        Refused("Decompositions are kept up to rank 4", tooLarge, s_validation);
        Refused("EarlyStoppingPatience is 1, and there are no validation rows", early, null);
        Assert.Throws<ArgumentOutOfRangeException>(
            () => model.FineTune(Few(FineTuningMethod.Sorsa), s_train, s_validation, evaluations: 0));
    }

    private static Options Few(FineTuningMethod method)
    {
        Options options = SweepTask.Trainer;
        options.Method = method;
        options.Rank = method == FineTuningMethod.Full ? null : 4;
        options.MaxSteps = 3;
        return options;
    }

    private static IReadOnlyList<(string, string)> Rows(IDataView data) => [.. PromptResponseReader.Read(data, "Prompt", "Response")];

    private sealed class Losses : IProgress<SorsaTrainingProgress>
    {
        public List<double> Values { get; } = [];

        public void Report(SorsaTrainingProgress value) => Values.Add(value.Loss);
    }
}
