using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Whole experiments over the bundled model.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsExperimentTests
{
    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void ATrialGivesWhatATrainingByItselfGives()
    {
        using ExperimentResult result = SweepTask.Experiment.SetPruning(null).Run();
        Assert.HasCount(6, result.Trials);
        Assert.IsTrue(result.Trials.All(trial => trial.State == TrialState.Completed));
        TrialResult best = result.Trials.MinBy(trial => trial.Metric)!;
        Assert.AreEqual(best.TrialSettings.TrialId, result.BestRun.TrialSettings.TrialId);

        foreach (TrialResult trial in result.Trials.Take(3).Append(best))
        {
            var curve = new List<double>();
            Options options = SweepTask.Trainer;
            options.EvaluationSteps = 2;
            options.Gamma = (double)trial.TrialSettings.Parameters["Gamma"]!;
            options.Rank = (int)trial.TrialSettings.Parameters["Rank"]!;
            options.LearningRate = (double)trial.TrialSettings.Parameters["LearningRate"]!;
            options.Progress = new Looks(curve);
            torch.set_num_threads(1);
            using SorsaTransformer alone = SweepTask.Context.Sorsa().FineTune(options).Fit(SweepTask.Train, SweepTask.Validation);

            CollectionAssert.AreEqual(curve, trial.Curve.Select(point => point.Loss).ToList());
            Assert.AreEqual(curve.Min(), trial.Metric);
            if (ReferenceEquals(trial, best))
            {
                CollectionAssert.AreEqual(Answers(alone), Answers(result.Model));
            }
        }
    }

    [TestMethod]
    public void WhatIsSharedIsDoneOnce()
    {
        using ExperimentResult result = SweepTask.Experiment.SetPruning(null).Run();

        // Seven projections in each of the layers; the adapted ones are all different matrices.
        int matrices = result.Model.MergeReport!.Matrices.Count;
        Assert.AreEqual(matrices, result.SharedWork.Decompositions);
        Assert.AreEqual(5 * matrices, result.SharedWork.DecompositionsReused);
        Assert.AreEqual(60, result.SharedWork.RowsTokenized);
        Assert.AreEqual(300, result.SharedWork.RowsReused);
        Assert.AreEqual(5, result.SharedWork.ModelLoadsSaved);
        Assert.IsGreaterThan(TimeSpan.Zero, result.SharedWork.DecompositionTimeSaved);
    }

    /// <summary>
    /// With pruning and a tuner that learns: a second time, with trials that overlap otherwise, not a bit of the table changes.
    /// </summary>
    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void TheSameStudyTwiceIsTheSameTable()
    {
        SorsaExperiment Study() => SweepTask.Experiment
            .SetMaxModelToExplore(10)
            .SetTuner(new TreeParzenTuner(startupTrials: 3))
            .SetMaxConcurrentTrials(3)
            .SetPruning(new() { MinimumTrials = 2 });
        using ExperimentResult first = Study().Run();
        using ExperimentResult second = Study().Run();

        CollectionAssert.AreEqual(Table(first), Table(second));
        Assert.Contains(trial => trial.State == TrialState.Pruned, first.Trials, "The pruning must have something to decide.");
        TrialResult pruned = first.Trials.First(trial => trial.State == TrialState.Pruned);
        Assert.IsNotEmpty(pruned.Curve);
        Assert.IsNull(pruned.Metric);
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void AStudyGoesOnWhereItEnded()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("study.db");
        SorsaExperiment Study(int trials) => SweepTask.Experiment
            .SetMaxModelToExplore(trials)
            .SetTuner(new TreeParzenTuner(startupTrials: 2))
            .SetStudy(path);
        using ExperimentResult whole = SweepTask.Experiment.SetTuner(new TreeParzenTuner(startupTrials: 2)).Run();
        using (ExperimentResult part = Study(3).Run())
        {
            CollectionAssert.AreEqual(Table(whole)[..3], Table(part));
        }

        var seen = new Record();
        using ExperimentResult rest = Study(6).SetMonitor(seen).Run();

        CollectionAssert.AreEqual(Table(whole), Table(rest));
        Assert.AreEqual("4 5 6", string.Join(' ', seen.Running));
        CollectionAssert.AreEqual(Answers(whole.Model), Answers(rest.Model));

        // The model of a trial that an earlier run has finished is trained again, to the same bits.
        using ExperimentResult again = Study(6).Run();
        CollectionAssert.AreEqual(Table(whole), Table(again));
        CollectionAssert.AreEqual(Answers(whole.Model), Answers(again.Model));
    }

    [TestMethod]
    public void EveryMethodCanBeATrial()
    {
        var space = new SorsaSearchSpace
        {
            ["Method"] = new ChoiceOption([.. Enum.GetValues<FineTuningMethod>().Cast<object>()]),
            ["Gamma"] = new ChoiceOption(4e-4),
            ["Rank"] = new ChoiceOption(4),
        };
        Options trainer = SweepTask.Trainer;
        trainer.Rank = null;
        trainer.MaxSteps = 2;
        using ExperimentResult result = SweepTask.Experiment
            .SetTrainer(trainer)
            .SetSearchSpace(space)
            .SetTuner(new GridSearchTuner())
            .SetMaxModelToExplore(100)
            .SetPruning(null)
            .Run();

        CollectionAssert.AreEqual(
            Enum.GetValues<FineTuningMethod>(),
            result.Trials.Select(trial => (FineTuningMethod)trial.TrialSettings.Parameters["Method"]!).ToList());
        Assert.IsTrue(
            result.Trials.All(trial => trial.State == TrialState.Completed),
            string.Join(", ", result.Trials.Select(trial => trial.Error)));
        foreach (TrialResult trial in result.Trials)
        {
            var method = (FineTuningMethod)trial.TrialSettings.Parameters["Method"]!;
            Assert.AreEqual(
                method is FineTuningMethod.Sorsa or FineTuningMethod.AdaLora,
                trial.TrialSettings.Parameters.ContainsKey("Gamma"),
                method.ToString());
            Assert.AreEqual(
                method is not (FineTuningMethod.Full or FineTuningMethod.Partial or FineTuningMethod.Lisa),
                trial.TrialSettings.Parameters.ContainsKey("Rank"),
                method.ToString());
        }
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void TheUsersMetricDecides()
    {
        var values = new Queue<double>([1, 5, 3, 5, 2, 4]);
        SweepMetric metric = SweepMetric.Of("mine", (model, data) =>
        {
            Assert.AreEqual(12, data.GetColumn<string>("Prompt").Count());
            return values.Dequeue();
        }, isMaximized: true);
        using ExperimentResult result = SweepTask.Experiment.SetMetric(metric).SetPruning(null).Run();

        CollectionAssert.AreEqual(new double?[] { 1, 5, 3, 5, 2, 4 }, result.Trials.Select(trial => trial.Metric).ToArray());
        Assert.AreEqual(2, result.BestRun.TrialSettings.TrialId);
    }

    [TestMethod]
    public void ExactMatchIsTheShareOfRightAnswers()
    {
        using ExperimentResult result = SweepTask.Experiment
            .SetMetric(SweepMetric.ExactMatch)
            .SetMaxModelToExplore(2)
            .SetPruning(null)
            .Run();
        string[] responses = [.. SweepTask.Validation.GetColumn<string>("Response")];

        Assert.AreEqual(
            responses.Zip(Answers(result.Model)).Count(pair => pair.First.Trim() == pair.Second.Trim()) / 12.0,
            result.BestRun.Metric);
    }

    /// <summary>The share that the evaluation of the same model gives.</summary>
    [TestMethod]
    public void AGraderIsAMetric()
    {
        SweepMetric metric = SweepMetric.Accuracy(AnswerGraders.LastNumber);
        Assert.AreEqual(("last-number", true), (metric.Name, metric.IsMaximized));

        using ExperimentResult result = SweepTask.Experiment.SetMetric(metric).SetMaxModelToExplore(1).SetPruning(null).Run();

        Assert.AreEqual(
            new MLContext().Sorsa().Evaluate(result.Model, SweepTask.Validation, AnswerGraders.LastNumber).Accuracy,
            result.BestRun.Metric);
        Assert.ThrowsExactly<ArgumentNullException>(() => SweepMetric.Accuracy(null!));
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void MonitorsHearOfEverything()
    {
        var seen = new Record();
        using ExperimentResult result = SweepTask.Experiment.SetPruning(null).SetMonitor(seen).Run();

        Assert.AreEqual("1 2 3 4 5 6", string.Join(' ', seen.Running));
        CollectionAssert.AreEqual(result.Trials.ToList(), seen.Completed);
        Assert.AreEqual(result.Trials.Sum(trial => trial.Curve.Count), seen.Points);
        double lowest = double.PositiveInfinity;
        CollectionAssert.AreEqual(
            result.Trials.Where(trial => trial.Metric < lowest && (lowest = trial.Metric!.Value) == trial.Metric).ToList(),
            seen.Best);
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void TimeStopsNewTrialsOnly()
    {
        using var folder = new TemporaryFolder();
        SweepTask.Experiment.SetMaxModelToExplore(2).SetStudy(folder.File("s.db")).Run().Dispose();
        using ExperimentResult late = SweepTask.Experiment.SetTrainingTimeInSeconds(1e-6).SetStudy(folder.File("s.db")).Run();
        using ExperimentResult inTime = SweepTask.Experiment
            .SetMaxModelToExplore(2)
            .SetTrainingTimeInSeconds(1e6)
            .SetStudy(folder.File("s.db"))
            .Run();

        Assert.IsTrue(late.StoppedByTime);
        Assert.HasCount(2, late.Trials);
        Assert.IsFalse(inTime.StoppedByTime);
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public async Task CancellationEndsARunningTrialAndKeepsTheStudy()
    {
        using var folder = new TemporaryFolder();
        using var cancel = new CancellationTokenSource();
        var seen = new Record { OnPoint = (settings, _) => { if (settings.TrialId == 2) { cancel.Cancel(); } } };
        await Assert.ThrowsAsync<OperationCanceledException>(
            () => SweepTask.Experiment.SetStudy(folder.File("s.db")).SetMonitor(seen).RunAsync(cancel.Token));
        Assert.AreEqual("1 2", string.Join(' ', seen.Running));

        var again = new Record();
        using ExperimentResult result = SweepTask.Experiment.SetStudy(folder.File("s.db")).SetMonitor(again).Run();
        using ExperimentResult whole = SweepTask.Experiment.Run();
        Assert.AreEqual("2 3 4 5 6", string.Join(' ', again.Running));
        CollectionAssert.AreEqual(Table(whole), Table(result));
    }

    private static string[] Table(ExperimentResult result) => [.. result.Trials.Select(SweepTask.Line)];

    private static string[] Answers(SorsaTransformer model) => [.. model.Transform(SweepTask.Validation).GetColumn<string>("Reply")];

    private sealed class Looks(List<double> losses) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value)
        {
            if (value.ValidationLoss is { } loss)
            {
                losses.Add(loss);
            }
        }
    }
}
