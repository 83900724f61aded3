using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>What goes wrong in one trial, and whether the others still run.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsFailureTests
{
    private static readonly Dictionary<string, Exception> s_errors = new(StringComparer.Ordinal)
    {
        ["arithmetic"] = new DivideByZeroException("by zero"),
        ["argument"] = new ArgumentException("mine"),
        ["file"] = new FileNotFoundException("no such table"),
        ["cancelled by itself"] = new TaskCanceledException("timed out"),
        ["memory"] = new InsufficientMemoryException("no room"),
        ["no message"] = new InvalidOperationException(""),
        ["within"] = new AggregateException("outer", new TimeoutException("the judge is slow")),
        ["letters"] = new InvalidDataException("a\0b\uD800c" + new string('x', 100_000)),
    };

    public static IEnumerable<object[]> Errors => s_errors.Keys.Select(name => new object[] { name });

    /// <summary>The second of three trials fails with a message, stays failed, and the third runs.</summary>
    [TestMethod]
    [DynamicData(nameof(Errors))]
    public void AMetricThatThrowsFailsItsTrialAlone(string name)
    {
        using var folder = new TemporaryFolder();
        int calls = 0;
        SweepMetric metric = SweepMetric.Of("judge", (_, _) => ++calls == 2 ? throw s_errors[name] : calls);
        var seen = new Record();
        SorsaExperiment Study() => Short.SetMetric(metric).SetMaxModelToExplore(3).SetStudy(folder.File("s.db"));

        using (ExperimentResult result = Study().SetMonitor(seen).Run())
        {
            CollectionAssert.AreEqual(
                new[] { TrialState.Completed, TrialState.Failed, TrialState.Completed },
                result.Trials.Select(trial => trial.State).ToArray());
            string error = seen.Failed.Single().Error!;
            Assert.Contains($"The metric 'judge' threw {s_errors[name].GetType().Name}: ", error);
            Assert.Contains(
                name == "within" ? "the judge is slow" : name == "letters" ? "a\uFFFDb\uFFFDcxx" : s_errors[name].Message, error);
            Assert.IsLessThan(5000, error.Length);
        }

        using ExperimentResult again = Study().Run();
        Assert.AreEqual(TrialState.Failed, again.Trials[1].State, "What failed is finished.");
        Assert.AreEqual(seen.Failed.Single().Error, again.Trials[1].Error);
    }

    [TestMethod]
    public void WhereEveryTrialFailsTheErrorSaysWhy()
    {
        int calls = 0;
        SorsaExperiment experiment = Short.SetMaxModelToExplore(3).SetMetric(
            SweepMetric.Of("judge", (_, _) => throw (++calls == 2 ? new TimeoutException("slow") : new FormatException("no number"))));

        InvalidOperationException refused = Assert.ThrowsExactly<InvalidOperationException>(() => experiment.Run());

        Assert.Contains("No trial of 3 was completed: 3 failed, 0 were ended early.", refused.Message);
        Assert.Contains("trials 1, 3: The metric 'judge' threw FormatException: no number", refused.Message);
        Assert.Contains("trial 2: The metric 'judge' threw TimeoutException: slow", refused.Message);
    }

    [TestMethod]
    public void AMonitorThatThrowsIsAWarningAndTheOthersStillHear()
    {
        var warnings = new List<string>();
        void Listen(object? sender, LoggingEventArgs log)
        {
            lock (warnings)
            {
                warnings.Add(log.Message);
            }
        }

        var context = new MLContext();
        context.Log += Listen;
        var seen = new Record();
        using ExperimentResult result = Shortened(context.Sorsa().CreateExperiment())
            .SetMaxModelToExplore(2).SetMonitor(new Broken()).SetMonitor(seen).Run();

        Assert.HasCount(2, result.Trials);
        CollectionAssert.AreEqual(result.Trials.ToList(), seen.Completed);
        Assert.AreEqual(result.Trials.Sum(trial => trial.Curve.Count), seen.Points);
        Assert.Contains(
            warning => warning.Contains("The monitor Broken threw IOException, and the sweep goes on: the window is closed",
                StringComparison.Ordinal), warnings);
    }

    [TestMethod]
    public void AMonitorThatCancelsEndsTheSweep()
    {
        SorsaExperiment experiment = Short.SetMonitor(new Record { OnPoint = (_, _) => throw new OperationCanceledException() });

        Assert.Throws<OperationCanceledException>(() => experiment.Run());
    }

    /// <summary>What must end a sweep: a store that is gone. Nothing would be left of the trials.</summary>
    [TestMethod]
    public void AStoreThatIsGoneEndsTheSweep()
    {
        int points = 0;
        SorsaExperiment experiment = Short.SetThreadsPerTrial(1).SetTrialExecutor(inputs =>
        {
            var store = new SqliteStudyStore(null);
            return (store, new Gone(store));
        }).SetMonitor(new Record { OnPoint = (_, _) => points++ });

        Assert.ThrowsExactly<IOException>(() => experiment.Run());
        Assert.AreEqual(0, points);
    }

    private static SorsaExperiment Short => Shortened(SweepTask.Context.Sorsa().CreateExperiment());

    /// <summary>Two steps a trial.</summary>
    private static SorsaExperiment Shortened(SorsaExperiment experiment)
    {
        SorsaFineTuningTrainer.Options trainer = SweepTask.Trainer;
        trainer.MaxSteps = 2;
        return experiment.SetTrainer(trainer)
            .SetDataset(SweepTask.Train, SweepTask.Validation)
            .SetSearchSpace(SweepTask.Space)
            .SetTuner(new RandomSearchTuner())
            .SetPruning(null)
            .SetThreadsPerTrial(1);
    }

    private sealed class Broken : IMonitor
    {
        public void ReportRunningTrial(TrialSettings settings) => throw new IOException("the window is closed");

        public void ReportCompletedTrial(TrialResult result) => throw new IOException("the window is closed");

        public void ReportFailTrial(TrialResult result) => throw new IOException("the window is closed");

        public void ReportBestTrial(TrialResult result) => throw new IOException("the window is closed");

        public void ReportCurvePoint(TrialSettings settings, CurvePoint point) => throw new IOException("the window is closed");
    }

    private sealed class Gone(SqliteStudyStore store) : ITrialExecutor
    {
        public Task<TrialResult> RunAsync(TrialPlan plan, Action<CurvePoint> report, CancellationToken cancellationToken) =>
            throw new IOException($"{store.Name} is gone.");
    }
}
