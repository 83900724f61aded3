using System.Diagnostics;
using System.Globalization;
using Hangfire;
using Hangfire.Common;
using Hangfire.Logging;
using Hangfire.PostgreSql;
using Hangfire.PostgreSql.Factories;
using Hangfire.States;
using Microsoft.ML.Sorsa.Sweeps;
using Npgsql;
using SweepGammaAndRank;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>What whoever can write to the database cannot do with it, on a real server.</summary>
[TestClass]
[TestCategory("Sweeps")]
[TestCategory("Cases")]
public sealed class SweepsWorkerTrustTests
{
    private static PostgresServer? s_server;

    public required TestContext TestContext { get; init; }

    [ClassInitialize]
    public static void Begin(TestContext context) => s_server = new PostgresServer();

    [ClassCleanup]
    public static void End() => s_server!.Dispose();

    /// <summary>
    /// Jobs that are no trials, put there with Hangfire's own client and with two INSERTs, at once, after a time and as recurring
    /// ones: they end as failed, nothing of them runs, and the trial behind them is run.
    /// </summary>
    [TestMethod]
    public async Task AttackHangfireAnyStaticMethodFailsAndTheTrialsRun()
    {
        string database = s_server!.ConnectionString;
        using var folder = new TemporaryFolder();
        string proof = folder.File("proof");
        TrialQueue.Open(database, TinySweep.TimeOut);
        var plain = new BackgroundJobClient(new PostgreSqlStorage(new NpgsqlConnectionFactory(database, new PostgreSqlStorageOptions())));
        var attack = Job.FromExpression(() => Process.Start("/bin/sh", $"-c \"id > {proof}\""));
        string[] jobs =
        [
            plain.Create(attack, new EnqueuedState(TrialQueue.Name)),
            plain.Create(Job.FromExpression(() => File.WriteAllText(proof, "x")), new EnqueuedState(TrialQueue.Name)),
            plain.Create(attack, new ScheduledState(TimeSpan.Zero)),
            Insert(database, """{"Type":"System.IO.File, mscorlib","Method":"Create","ParameterTypes":"[\"System.String, mscorlib\"]"}""",
                $$"""["\"{{proof}}\""]"""),
            Insert(database, "{}", "[]"),
        ];
        var recurring = new RecurringJobManager(
            new PostgreSqlStorage(new NpgsqlConnectionFactory(database, new PostgreSqlStorageOptions())));
        recurring.AddOrUpdate("attack", attack, "* * * * * *");

        SorsaExperiment experiment = TinySweep.OneTrial(epochs: 1).SetHangfire(database, "attacked");
        using var end = new CancellationTokenSource();
        Task worker = Task.Factory.StartNew(
            () => TinySweep.Worker(database, folder.File("svd")).Run(end.Token),
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            using ExperimentResult result = await experiment.RunAsync(TestContext.CancellationToken);
            Assert.AreEqual(TrialState.Completed, result.Trials.Single().State);
            while (jobs.Any(job => State(database, job) is not "Failed"))
            {
                await Task.Delay(100, TestContext.CancellationToken);
            }
        }
        finally
        {
            await end.CancelAsync();
            await worker;
        }

        Assert.IsFalse(File.Exists(proof));
        Assert.AreEqual(
            jobs.Length, TinySweep.Count(database, "hangfire.state WHERE name = 'Failed' AND data::text LIKE '%The job is no trial%'"));
        Assert.AreEqual(0, TinySweep.Count(database, "hangfire.hash WHERE key = 'recurring-job:attack' AND field = 'LastJobId'"),
            "No worker looks for recurring jobs.");
    }

    /// <summary>A study of which somebody changed a row is an error that says where, for whoever reads it.</summary>
    [TestMethod]
    public void AStudyInPostgresThatWasChangedIsRefused()
    {
        string database = s_server!.ConnectionString;
        var space = new SorsaSearchSpace { ["Gamma"] = new UniformDoubleOption(1e-5, 1e-2) };
        var definition = new StudyDefinition([new("seed", "0")]);
        var settings = new TrialSettings(1, new Dictionary<string, object?> { ["Gamma"] = 4e-4 });
        using var store = new PostgresStudyStore(database, "changed");
        store.Open(definition);
        store.Start(new TrialPlan(settings, [1.5]));
        store.Finish(new TrialResult
        {
            TrialSettings = settings,
            State = TrialState.Failed,
            Error = "a\0b\uD800",
            Curve = [new CurvePoint(1, double.PositiveInfinity, -0.0)],
        });

        Assert.AreEqual("a\uFFFDb\uFFFD", store.Read(space)[1].Error);
        Assert.AreEqual(1.5, store.ReadPlan(1).Limits.Single());
        Change(database, "UPDATE sorsa_limit SET loss = 99 WHERE study = 'changed'");
        Assert.Contains("trial 1: the limits are not as", Assert.ThrowsExactly<InvalidDataException>(() => store.ReadPlan(1)).Message);
        Change(database, "UPDATE sorsa_curve SET loss = 'NaN' WHERE study = 'changed'");
        Assert.Contains(
            "The study 'changed' in PostgreSQL database 'postgres'",
            Assert.ThrowsExactly<InvalidDataException>(() => store.Read(space)).Message);
        Assert.Contains(
            "column 'loss' of table sorsa_curve holds NaN", Assert.ThrowsExactly<InvalidDataException>(() => store.Read(space)).Message);
        Change(database, "INSERT INTO sorsa_work VALUES ('changed', '{\"Trainer\":{}}')");
        Assert.Contains("column 'work' of table sorsa_work", Assert.ThrowsExactly<InvalidDataException>(() => store.ReadInputs()).Message);
    }

    /// <summary>A page elsewhere whose own name leads to this machine sends that name along.</summary>
    [TestMethod]
    public async Task TheDashboardAnswersToThisMachinesNamesAlone()
    {
        string database = s_server!.ConnectionString;
        TrialQueue.Open(database, TinySweep.TimeOut);
        using var dashboard = new Dashboard(database, port: 0);
        using var client = new HttpClient();
        string port = dashboard.Address.Port.ToString(CultureInfo.InvariantCulture);
        async Task<int> Ask(string host)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, dashboard.Address);
            request.Headers.Host = host;
            using HttpResponseMessage answer = await client.SendAsync(request, TestContext.CancellationToken);
            return (int)answer.StatusCode;
        }

        Assert.AreEqual("127.0.0.1", dashboard.Address.Host);
        Assert.AreEqual(200, await Ask($"127.0.0.1:{port}"));
        Assert.AreEqual(200, await Ask($"localhost:{port}"));
        Assert.AreEqual(400, await Ask($"rebound.example:{port}"));
        Assert.AreEqual(400, await Ask("127.0.0.1.rebound.example"));
    }

    /// <summary>A worker or an experiment of the same process goes on after it.</summary>
    [TestMethod]
    public void TheDashboardLeavesNoLogOfItsOwnBehind()
    {
        TrialQueue.Open(s_server!.ConnectionString, TinySweep.TimeOut);

        new Dashboard(s_server.ConnectionString, port: 0).Dispose();

        Assert.IsFalse(LogProvider.GetLogger("worker").Log(LogLevel.Info, () => "a message"));
    }

    private static string? State(string database, string job) =>
        Ask(database, $"SELECT statename FROM hangfire.job WHERE id = {job}") as string;

    /// <summary>As whoever has no client of Hangfire does it.</summary>
    private static string Insert(string database, string invocation, string arguments)
    {
        object job = Ask(database, $"""
            WITH made AS (INSERT INTO hangfire.job (invocationdata, arguments, createdat, statename)
                VALUES ('{invocation}', '{arguments}', now(), 'Enqueued') RETURNING id),
            queued AS (INSERT INTO hangfire.jobqueue (jobid, queue) SELECT id, 'sorsa' FROM made)
            SELECT id FROM made
            """)!;
        return Convert.ToString(job, CultureInfo.InvariantCulture)!;
    }

    private static void Change(string database, string sql) => Ask(database, sql);

    private static object? Ask(string database, string sql)
    {
        using var connection = new NpgsqlConnection(database + ";Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand(sql, connection);
        return command.ExecuteScalar();
    }
}
