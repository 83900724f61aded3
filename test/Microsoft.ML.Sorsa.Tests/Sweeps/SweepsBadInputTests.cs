using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Mpi;
using Microsoft.ML.Sorsa.Sweeps;
using static Microsoft.ML.Sorsa.SorsaFineTuningTrainer;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>What is wrong is said before a model is loaded, and a study on disk stays readable.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsBadInputTests
{
    public static IEnumerable<object?[]> Spaces =>
    [
        ["", null, "The search space is empty"],
        ["Gama", new ChoiceOption(1.0), "'Gama', which is no option of the trainer that a sweep can vary. Use one of AdamBeta1, "],
        ["ComputeType", new ChoiceOption(WeightType.Float32), "'ComputeType', which is no option of the trainer that a sweep can vary"],
        ["AllowTf32", new ChoiceOption(true), "'AllowTf32', which is no option of the trainer that a sweep can vary"],
        ["ModelFolder", new ChoiceOption("a"), "'ModelFolder', which is no option of the trainer that a sweep can vary"],
        ["Gamma", new UniformDoubleOption(0, 1, logBase: true), "Gamma: a logarithmic range must start above 0, and this one starts at 0"],
        ["Rank", new UniformIntOption(0, 4, logBase: true), "Rank: a logarithmic range must start above 0"],
        ["Gamma", new UniformDoubleOption(1, 1), "Gamma: the range goes from 1 to 1; its end must be above its start"],
        ["Gamma", new UniformDoubleOption(0, double.NaN), "its end must be above its start, and both finite"],
        ["Rank", new UniformIntOption(8, 4), "Rank: the range goes from 8 to 4"],
        ["Rank", new ChoiceOption(), "Rank: there is no choice"],
        ["Rank", new ChoiceOption(4, 4), "Rank: the choice '4' is there twice"],
        ["Rank", new UniformIntOption(4, 100000), "allows ranks from 1 to"],
        ["Rank", new UniformDoubleOption(4, 8.5), "Rank: '8.5' is no value of an option of type Int32?. Use UniformIntOption"],
        ["Rank", new UniformDoubleOption(4, 16), "is no value of an option of type Int32?. Use UniformIntOption"],
        ["Gamma", new UniformDoubleOption(-1, 1), "Gamma is -1; it must be at least 0"],
        ["LearningRate", new ChoiceOption("much"), "LearningRate: 'much' is no value of an option of type Double"],
        ["Method", new ChoiceOption("Magic"), "Method: 'Magic' is no value"],
        ["RankBudget", new ChoiceOption(1), "'RankBudget', which is no option of the trainer that a sweep can vary"],
        ["TargetModules", new ChoiceOption((object)s_unknown), "'x_proj' matches no projection of the model"],
        ["SliceStart", new ChoiceOption(3), "'SliceStart', which no combination of the others has a use for"],
    ];

    private static readonly string[] s_unknown = ["x_proj"];

    private static readonly string[] s_reduced =
    [
        "Triplets=Leading Gamma=0.0004 HardOrthonormality=false", "Triplets=Leading HardOrthonormality=true",
        "SliceStart=2 Triplets=Slice Gamma=0.0004 HardOrthonormality=false", "SliceStart=2 Triplets=Slice HardOrthonormality=true",
    ];

    [TestMethod]
    [DynamicData(nameof(Spaces))]
    public void ASpaceThatCannotBeIsRefused(string name, ISearchOption? option, string message)
    {
        SorsaSearchSpace space = option is null ? [] : new() { [name] = option };
        var seen = new Record();
        ArgumentException refused = Assert.Throws<ArgumentException>(
            () => SweepTask.Experiment.SetSearchSpace(space).SetMonitor(seen).Run());

        Assert.Contains(message, refused.Message);
        Assert.IsEmpty(seen.Running);
    }

    /// <summary>Machines of one study must not compute in two types.</summary>
    [TestMethod]
    public void ATypeThatEachMachineChoosesIsRefused()
    {
        Options trainer = SweepTask.Trainer;
        trainer.ComputeType = WeightType.Auto;

        ArgumentException refused = Assert.Throws<ArgumentException>(() => SweepTask.Experiment.SetTrainer(trainer).Run());

        Assert.Contains("ComputeType of the trainer is Auto", refused.Message);
        Assert.Contains("Choose Float32 or BFloat16", refused.Message);
    }

    [TestMethod]
    public void AnOptionThatNoMethodHasIsRefused()
    {
        Options trainer = SweepTask.Trainer;
        trainer.Method = FineTuningMethod.Lora;
        ArgumentException refused = Assert.Throws<ArgumentException>(() => SweepTask.Experiment.SetTrainer(trainer).Run());

        Assert.Contains("'Gamma', which no combination of the others has a use for: it does not belong to Method Lora", refused.Message);
    }

    [TestMethod]
    public void ATypeThatNoStudyCanHoldIsRefused() =>
        Assert.Contains("cannot be written down", Assert.ThrowsExactly<ArgumentException>(() => new ChoiceOption(new object())).Message);

    [TestMethod]
    public void TwiceTheSameOptionIsRefused()
    {
        var refused = Assert.ThrowsExactly<ArgumentException>(
            () => new SorsaSearchSpace { { "Rank", new ChoiceOption(1) }, { "Rank", new ChoiceOption(2) } });

        Assert.Contains("has 'Rank' already", refused.Message);
    }

    [TestMethod]
    [DataRow(double.NaN)]
    [DataRow(double.PositiveInfinity)]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void AMetricThatIsNoNumberFailsItsTrial(double value)
    {
        using var folder = new TemporaryFolder();
        int trial = 0;
        SweepMetric metric = SweepMetric.Of("odd", (_, _) => ++trial == 2 ? value : trial);
        var seen = new Record();
        SorsaExperiment experiment = SweepTask.Experiment
            .SetMetric(metric)
            .SetMaxModelToExplore(3)
            .SetMonitor(seen)
            .SetStudy(folder.File("s.db"));
        using (ExperimentResult result = experiment.Run())
        {
            Assert.AreEqual(TrialState.Failed, result.Trials[1].State);
            Assert.Contains(
                $"The metric 'odd' is {FormattableString.Invariant($"{value}")}; it must be a finite number",
                result.Trials[1].Error!);
            Assert.AreEqual(1, result.BestRun.TrialSettings.TrialId);
            Assert.AreSame(result.Trials[1], seen.Failed.Single());
        }

        // What failed is finished, and stays so.
        using ExperimentResult again = SweepTask.Experiment.SetMetric(metric).SetMaxModelToExplore(3).SetStudy(folder.File("s.db")).Run();
        Assert.AreEqual(TrialState.Failed, again.Trials[1].State);
    }

    [TestMethod]
    public void WhenNothingWorksItIsSaid()
    {
        SorsaExperiment experiment = SweepTask.Experiment
            .SetMetric(SweepMetric.Of("never", (_, _) => double.NaN))
            .SetMaxModelToExplore(2);

        InvalidOperationException refused = Assert.ThrowsExactly<InvalidOperationException>(() => experiment.Run());

        Assert.Contains("No trial of 2 was completed: 2 failed, 0 were ended early.", refused.Message);
        Assert.Contains("trials 1, 2: The metric 'never' is NaN", refused.Message);
    }

    /// <summary>
    /// What depends on the data shows only when a trial starts: it fails with the trainer's own words, and the others go on.
    /// </summary>
    [TestMethod]
    public void ATrialWhoseOptionsDoNotFitFails()
    {
        var space = new SorsaSearchSpace { ["MaxSteps"] = new ChoiceOption(2, 6) };
        Options trainer = SweepTask.Trainer;
        (trainer.Method, trainer.RankBudget) = (FineTuningMethod.AdaLora, new RankBudget { WarmupSteps = 3 });
        using ExperimentResult result = SweepTask.Experiment
            .SetTrainer(trainer)
            .SetSearchSpace(space)
            .SetTuner(new GridSearchTuner())
            .Run();

        CollectionAssert.AreEqual(new[] { TrialState.Failed, TrialState.Completed }, result.Trials.Select(trial => trial.State).ToArray());
        Assert.Contains("RankBudget.WarmupSteps is 3", result.Trials[0].Error!);
    }

    /// <summary>What another choice leaves nothing to do is left out, not contradicted.</summary>
    [TestMethod]
    public void WhatHasNoUseIsLeftOut()
    {
        var space = new SorsaSearchSpace
        {
            ["SliceStart"] = new UniformIntOption(0, 3),
            ["Triplets"] = new ChoiceOption(SingularTriplets.Leading, SingularTriplets.Slice),
            ["Gamma"] = new ChoiceOption(4e-4),
            ["HardOrthonormality"] = new ChoiceOption(false, true),
        };
        Options trainer = SweepTask.Trainer;
        trainer.MaxSteps = 2;
        using ExperimentResult result = SweepTask.Experiment
            .SetTrainer(trainer)
            .SetSearchSpace(space)
            .SetTuner(new GridSearchTuner(1))
            .Run();

        CollectionAssert.AreEqual(
            s_reduced,
            result.Trials.Select(trial => string.Join(
                ' ',
                trial.TrialSettings.Parameters.Select(parameter => $"{parameter.Key}={ParameterText.Of(parameter.Value)}"))).ToArray());
        Assert.IsTrue(result.Trials.All(trial => trial.State == TrialState.Completed));
    }

    /// <summary>Each fits alone, not both.</summary>
    [TestMethod]
    public void RankAndSliceTogetherMustFit()
    {
        var space = new SorsaSearchSpace
        {
            ["Rank"] = new UniformIntOption(4, 100),
            ["SliceStart"] = new UniformIntOption(0, 50),
            ["Triplets"] = new ChoiceOption(SingularTriplets.Slice),
        };

        Assert.Contains(
            "(together with SliceStart",
            Assert.Throws<ArgumentException>(() => SweepTask.Experiment.SetSearchSpace(space).Run()).Message);
    }

    /// <summary>An error of the data is every trial's: it ends the experiment, before a trial is written down as failed.</summary>
    [TestMethod]
    public void ARowThatIsTooLongIsNotATrialsFault()
    {
        using var folder = new TemporaryFolder();
        Options trainer = SweepTask.Trainer;
        trainer.MaxPromptLength = trainer.MaxResponseLength = 100_000;
        var row = new SweepTask.Row { Prompt = string.Concat(Enumerable.Repeat("many apples ", 3000)), Response = "no" };
        IDataView data = SweepTask.Context.Data.LoadFromEnumerable(new[] { row });
        SorsaExperiment experiment = SweepTask.Experiment
            .SetTrainer(trainer)
            .SetDataset(data, SweepTask.Validation)
            .SetStudy(folder.File("s.db"));

        ArgumentException refused = Assert.ThrowsExactly<ArgumentException>(() => experiment.Run());

        Assert.Contains("row 1 has", refused.Message);
    }

    [TestMethod]
    public void OtherDataAreAnotherStudy()
    {
        using var folder = new TemporaryFolder();
        SweepTask.Experiment.SetMaxModelToExplore(1).SetStudy(folder.File("s.db")).Run().Dispose();
        string Message(SorsaExperiment experiment) => Assert.ThrowsExactly<InvalidOperationException>(
            () => experiment.SetMaxModelToExplore(1).SetStudy(folder.File("s.db")).Run()).Message;

        Assert.Contains("data: the study has ", Message(SweepTask.Experiment.SetDataset(SweepTask.Validation, SweepTask.Train)));
        Assert.Contains("seed: the study has '0', the experiment '1'", Message(SweepTask.Experiment.SetSeed(1)));
        Assert.Contains("trials at a time: the study has '1', the experiment '2'", Message(SweepTask.Experiment.SetMaxConcurrentTrials(2)));
        Assert.Contains("threads per trial: the study has '1', the experiment '2'", Message(SweepTask.Experiment.SetThreadsPerTrial(2)));
        Assert.Contains(
            "metric: the study has 'validation loss', the experiment 'exact match'",
            Message(SweepTask.Experiment.SetMetric(SweepMetric.ExactMatch)));
        Assert.Contains("pruning: the study has 'successive halving", Message(SweepTask.Experiment.SetPruning(null)));
        Assert.Contains(
            "tuner: the study has 'tree-structured Parzen estimator",
            Message(SweepTask.Experiment.SetTuner(new RandomSearchTuner())));
        Assert.Contains(
            "search space.Rank: the study has 'log-uniform integer from 2 to 16 (option 2)', the experiment 'choice of 4 (option 1)'",
            Message(SweepTask.Experiment.SetSearchSpace(new() { ["Rank"] = new ChoiceOption(4) })));
        Options trainer = SweepTask.Trainer;
        trainer.BatchSize = 8;
        Assert.Contains("trainer.BatchSize: the study has '4', the experiment '8'", Message(SweepTask.Experiment.SetTrainer(trainer)));
        SweepTask.Experiment.SetMaxModelToExplore(1).SetStudy(folder.File("s.db")).Run().Dispose();
    }

    [TestMethod]
    public void WhatIsMissingIsSaid()
    {
        SorsaExperiment New() => SweepTask.Context.Sorsa().CreateExperiment();
        Assert.Contains("Call SetTrainer", Assert.ThrowsExactly<InvalidOperationException>(() => New().Run()).Message);
        Assert.Contains(
            "Call SetSearchSpace",
            Assert.ThrowsExactly<InvalidOperationException>(() => New().SetTrainer(SweepTask.Trainer).Run()).Message);
        Assert.Contains(
            "Call SetDataset",
            Assert.ThrowsExactly<InvalidOperationException>(
                () => New().SetTrainer(SweepTask.Trainer).SetSearchSpace(SweepTask.Space).Run()).Message);
    }

    [TestMethod]
    public void NumbersOutsideTheirRangeAreRefused()
    {
        void Refused(string message, Action<SorsaExperiment> set) =>
            Assert.Contains(message, Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => set(SweepTask.Experiment)).Message);
        Refused("maxModel is 0; it must be at least 1", experiment => experiment.SetMaxModelToExplore(0));
        Refused("seconds is 0; it must be above 0", experiment => experiment.SetTrainingTimeInSeconds(0));
        Refused("trials is 0; it must be from 1 to 1024", experiment => experiment.SetMaxConcurrentTrials(0));
        Refused("threads is 0; it must be at least 1", experiment => experiment.SetThreadsPerTrial(0));
        Refused("validationFraction is 1; it must be above 0 and below 1", experiment => experiment.SetDataset(SweepTask.Train, 1.0));
        Refused("steps is 0; it must be at least 1", experiment => experiment.SetTuner(new GridSearchTuner(0)));
        Refused("startupTrials is 0; it must be at least 1", experiment => experiment.SetTuner(new TreeParzenTuner(0)));
        Refused("candidates is 0; it must be at least 1", experiment => experiment.SetTuner(new TreeParzenTuner(1, 0)));
    }

    /// <summary>Before the model folder and the database are looked at.</summary>
    [TestMethod]
    public void AWorkersOptionsOutsideTheirRangeAreRefused()
    {
        void Refused(string message, SorsaSweepWorker.Options options)
        {
            var worker = new SorsaSweepWorker(SweepTask.Context, "Host=nowhere", "no folder", options);
            Assert.Contains(
                message, Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => worker.Run(CancellationToken.None)).Message);
        }

        Refused("TrialsAtATime is 0; it must be at least 1. Use 1, and more workers.", new() { TrialsAtATime = 0 });
        Refused(
            "InvisibilityTimeout is 2.5; it must be from 3 seconds to a day.", new() { InvisibilityTimeout = TimeSpan.FromSeconds(2.5) });
        Refused(
            "InvisibilityTimeout is 172800; it must be from 3 seconds to a day.", new() { InvisibilityTimeout = TimeSpan.FromDays(2) });
    }

    [TestMethod]
    public void RanksOfTheTrainersAreRefused()
    {
        using SorsaMpi mpi = SorsaMpi.Initialize();
        Options trainer = SweepTask.Trainer;
        trainer.Ranks = mpi;

        Assert.Contains(
            "Ranks of the trainer is set",
            Assert.ThrowsExactly<ArgumentException>(() => SweepTask.Experiment.SetTrainer(trainer).Run()).Message);
    }

    [TestMethod]
    public void AProgressOfTheTrainersIsRefused()
    {
        Options trainer = SweepTask.Trainer;
        trainer.Progress = new Progress<Microsoft.ML.Sorsa.Training.SorsaTrainingProgress>();

        Assert.Contains(
            "an experiment has SetMonitor",
            Assert.ThrowsExactly<ArgumentException>(() => SweepTask.Experiment.SetTrainer(trainer).Run()).Message);
    }
}
