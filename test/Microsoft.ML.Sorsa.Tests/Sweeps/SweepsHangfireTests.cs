using System.Diagnostics;
using System.Globalization;
using Hangfire;
using Hangfire.Common;
using Hangfire.States;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>Experiments whose trials workers run, through Hangfire on PostgreSQL.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsHangfireTests
{
    private static PostgresServer? s_server;

    public required TestContext TestContext { get; init; }

    [ClassInitialize]
    public static void Begin(TestContext context) => s_server = new PostgresServer();

    [ClassCleanup]
    public static void End() => s_server!.Dispose();

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public async Task WorkersGiveTheTableThatOneProcessGives()
    {
        using var folder = new TemporaryFolder();
        using ExperimentResult here = TinySweep.Experiment.SetStudy(folder.File("study.db")).Run();
        await using var workers = new Workers(s_server!.ConnectionString, folder, 2);

        using ExperimentResult there = TinySweep.Experiment.SetHangfire(s_server.ConnectionString, "same").Run();
        long jobs = Jobs();

        Assert.AreEqual(TinySweep.Table(here.Trials), TinySweep.Table(there.Trials));
        Assert.Contains(trial => trial.State == TrialState.Pruned, there.Trials);
        Assert.AreEqual(
            there.Trials.Count(trial => trial.State == TrialState.Pruned),
            TinySweep.Count(s_server.ConnectionString, "hangfire.job WHERE statename = 'Deleted' AND arguments::text LIKE '%same%'"),
            "A pruned trial's job is cancelled.");

        // What is finished is not run again; a job that comes once more changes nothing.
        RunOnceMore("same", trial: 1);
        using ExperimentResult again = TinySweep.Experiment.SetHangfire(s_server.ConnectionString, "same").Run();
        Assert.AreEqual(TinySweep.Table(here.Trials), TinySweep.Table(again.Trials));
        Assert.AreEqual(jobs + 1, Jobs());
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public async Task ATrialLongerThanTheTimeOutRunsOnce()
    {
        using var folder = new TemporaryFolder();
        string database = s_server!.ConnectionString;
        await using var workers = new Workers(database, folder, 2);

        using ExperimentResult result = TinySweep.OneTrial(epochs: 15).SetHangfire(database, "long").Run();

        Assert.IsGreaterThan(
            TinySweep.TimeOut.TotalMilliseconds * 1.2,
            result.BestRun.DurationInMilliseconds,
            "the trial is too short to say anything");
        Assert.AreEqual(1, Starts("long"));
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public async Task AKilledWorkersTrialIsTakenOver()
    {
        using var folder = new TemporaryFolder();
        string database = s_server!.ConnectionString;
        using ExperimentResult here = TinySweep.OneTrial(epochs: 8).Run();
        var begun = new TaskCompletionSource();
        using SweepProcess worker = SweepProcess.StartWorker(database, folder.Path);
        Task<ExperimentResult> running = TinySweep.OneTrial(epochs: 8)
            .SetMonitor(new Record { OnPoint = (_, _) => begun.TrySetResult() })
            .SetHangfire(database, "killed worker")
            .RunAsync(TestContext.CancellationToken);
        await Task.WhenAny(begun.Task, running);

        worker.Kill();
        var clock = Stopwatch.StartNew();
        await using var other = new Workers(database, folder, 1);
        await Until(() => Starts("killed worker") == 2);
        TestContext.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"taken over after {clock.Elapsed.TotalSeconds:F1} s, with a time-out of {TinySweep.TimeOut.TotalSeconds} s"));
        using ExperimentResult there = await running;

        Assert.AreEqual(TinySweep.Table(here.Trials), TinySweep.Table(there.Trials));
        Assert.AreEqual(2, Starts("killed worker"));
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public async Task AWorkerThatStopsGivesItsTrialBack()
    {
        using var folder = new TemporaryFolder();
        string database = s_server!.ConnectionString;
        using var stop = new CancellationTokenSource();
        var begun = new TaskCompletionSource();
        Task<ExperimentResult> running = TinySweep.OneTrial(epochs: 15)
            .SetMonitor(new Record { OnPoint = (_, _) => begun.TrySetResult() })
            .SetHangfire(database, "stopped worker")
            .RunAsync(stop.Token);
        await using (new Workers(database, folder, 1))
        {
            await Task.WhenAny(begun.Task, running);
        }

        long waiting = TinySweep.Count(
            database,
            "hangfire.jobqueue AS q JOIN hangfire.job AS j ON j.id = q.jobid " +
            "WHERE q.fetchedat IS NULL AND j.arguments::text LIKE '%stopped worker%'");
        await stop.CancelAsync();

        Assert.AreEqual(1, waiting);
        await Assert.ThrowsAsync<OperationCanceledException>(() => running);
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public async Task AKilledExperimentGoesOn()
    {
        using var folder = new TemporaryFolder();
        string database = s_server!.ConnectionString;
        using ExperimentResult here = TinySweep.Experiment.Run();
        await using var workers = new Workers(database, folder, 1);
        using (SweepProcess experiment = SweepProcess.StartExperiment(database, "killed experiment", folder.Path))
        {
            await Until(() => TinySweep.Count(database, "pg_tables WHERE tablename = 'sorsa_trial'") == 1
                && TinySweep.Count(database, "sorsa_trial WHERE study = 'killed experiment' AND state <> 'Running'") >= 2);
        }

        using ExperimentResult there = TinySweep.Experiment.SetHangfire(database, "killed experiment").Run();

        Assert.AreEqual(TinySweep.Table(here.Trials), TinySweep.Table(there.Trials));
        Assert.IsLessThanOrEqualTo(
            TinySweep.Count(database, "sorsa_trial WHERE study = 'killed experiment'") + 2,
            Starts("killed experiment"),
            "only trials under way have a second job");
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public async Task AWorkerWithOtherWeightsIsAnErrorOfTheExperiment()
    {
        using var folder = new TemporaryFolder();
        string model = folder.File("model");
        Directory.CreateDirectory(model);
        foreach (string file in Directory.GetFiles(TestData.TinyLlama))
        {
            File.Copy(file, Path.Combine(model, Path.GetFileName(file)));
        }

        using (FileStream weights = File.Open(Path.Combine(model, "model.safetensors"), FileMode.Open))
        {
            weights.Seek(-1, SeekOrigin.End);
            weights.WriteByte(60);
        }

        await using var workers = new Workers(s_server!.ConnectionString, folder, 1, model);
        SorsaExperiment experiment = TinySweep.OneTrial(epochs: 1).SetHangfire(s_server.ConnectionString, "other weights");

        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(() => experiment.Run());

        Assert.Contains("is not that of The study 'other weights'", error.Message);
    }

    [TestMethod]
    public void AFunctionOfTheProgramIsNoMetricForWorkers()
    {
        SorsaExperiment experiment = TinySweep.Experiment.SetMetric(SweepMetric.Of("exact match", (_, _) => 1))
            .SetHangfire("Host=127.0.0.1;Port=1", "study");

        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(() => experiment.Run());

        Assert.Contains("which no worker knows", error.Message);
    }

    [TestMethod]
    public async Task ACancelledExperimentTakesItsJobsBack()
    {
        string database = s_server!.ConnectionString;
        using var cancellation = new CancellationTokenSource();
        Task<ExperimentResult> running = TinySweep.Experiment.SetHangfire(database, "cancelled").RunAsync(cancellation.Token);
        await Until(() => Enqueued(database, "cancelled") == 2);

        await cancellation.CancelAsync();

        await Assert.ThrowsAsync<OperationCanceledException>(() => running);
        Assert.AreEqual(2, TinySweep.Count(database, "hangfire.job WHERE statename = 'Deleted' AND arguments::text LIKE '%cancelled%'"));
    }

    [TestMethod]
    public async Task AServerThatGoesAwayEndsTheExperimentWithAnErrorThatSaysSo()
    {
        using var server = new PostgresServer();
        string database = server.ConnectionString;
        Task<ExperimentResult> running = TinySweep.Experiment.SetHangfire(database, "study").RunAsync(TestContext.CancellationToken);
        await Until(() => Enqueued(database, "study") == 2);

        server.Dispose();

        IOException error = await Assert.ThrowsExactlyAsync<IOException>(() => running);
        Assert.Contains("running the experiment again goes on with it", error.Message);
    }

    /// <summary>How often a worker began with a job of a study.</summary>
    private static long Starts(string study) =>
        TinySweep.Count(
            s_server!.ConnectionString,
            "hangfire.state AS s JOIN hangfire.job AS j ON j.id = s.jobid " +
            $"WHERE s.name = 'Processing' AND j.arguments::text LIKE '%{study}%'");

    /// <summary>Jobs of a study that wait for a worker.</summary>
    private static long Enqueued(string database, string study) =>
        TinySweep.Count(database, "pg_tables WHERE schemaname = 'hangfire' AND tablename = 'job'") == 0
            ? 0
            : TinySweep.Count(database, $"hangfire.job WHERE statename = 'Enqueued' AND arguments::text LIKE '%{study}%'");

    private static long Jobs() => TinySweep.Count(s_server!.ConnectionString, "hangfire.job");

    private static void RunOnceMore(string study, int trial)
    {
        JobStorage jobs = TrialQueue.Open(s_server!.ConnectionString, TinySweep.TimeOut);
        new BackgroundJobClient(jobs).Create(
            Job.FromExpression<TrialJob>(worker => worker.Run(study, trial, CancellationToken.None)),
            new EnqueuedState(TrialQueue.Name));
    }

    private async Task Until(Func<bool> holds)
    {
        while (!holds())
        {
            await Task.Delay(100, TestContext.CancellationToken);
        }
    }

    /// <summary>Workers in this process, each with threads of its own.</summary>
    private sealed class Workers : IAsyncDisposable
    {
        private readonly CancellationTokenSource _end = new();
        private readonly Task[] _running;

        public Workers(string database, TemporaryFolder folder, int count, string? model = null) =>
            _running = [.. Enumerable.Range(0, count).Select(_ => Task.Factory.StartNew(
                () => TinySweep.Worker(database, folder.File("svd"), model).Run(_end.Token),
                CancellationToken.None,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default))];

        public async ValueTask DisposeAsync()
        {
            await _end.CancelAsync();
            await Task.WhenAll(_running);
            _end.Dispose();
        }
    }
}
