using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>What a study is promised by whichever store keeps it.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsPostgresTests
{
    private const string Sqlite = "SQLite", Postgres = "PostgreSQL";

    private static readonly SorsaSearchSpace Space = new()
    {
        ["Gamma"] = new UniformDoubleOption(0, 1),
        ["Rank"] = new UniformIntOption(1, 9),
    };

    /// <summary>4e-4 as it is, the double after it, and the smallest one of all.</summary>
    private static readonly double[] Awkward = [4e-4, Math.BitIncrement(4e-4), double.Epsilon, 1 / 3.0];

    private static readonly StudyDefinition Definition = Defined("random");

    private static PostgresServer? s_server;

    [ClassInitialize]
    public static void Begin(TestContext context) => s_server = new PostgresServer();

    [ClassCleanup]
    public static void End() => s_server!.Dispose();

    [TestMethod]
    [DataRow(Sqlite)]
    [DataRow(Postgres)]
    public void WhatIsWrittenComesBackToTheLastBit(string kind)
    {
        using var folder = new TemporaryFolder();
        TrialPlan[] plans = [.. Awkward.Select((gamma, i) => Plan(i + 1, gamma, limits: [gamma, double.PositiveInfinity]))];
        TrialResult[] results = [.. plans.Select(plan => Result(plan, [new(1, Gamma(plan), null), new(2, Gamma(plan) / 2, Gamma(plan))]))];
        using (IStudyStore store = Open(kind, folder))
        {
            foreach ((TrialPlan plan, TrialResult result) in plans.Zip(results))
            {
                store.Start(plan);
                Assert.IsTrue(store.Finish(result));
            }
        }

        using IStudyStore again = Open(kind, folder);
        IReadOnlyDictionary<int, TrialResult> read = again.Read(Space);

        Assert.AreEqual(TinySweep.Table(results), TinySweep.Table(read.Values));
        foreach (TrialPlan plan in plans)
        {
            Assert.AreSequenceEqual(plan.Limits, ReadPlan(again, plan.Settings.TrialId).Limits);
            Assert.AreEqual(ParameterText.Of(Gamma(plan)), ReadPlan(again, plan.Settings.TrialId).Settings.Parameters["Gamma"]);
        }
    }

    [TestMethod]
    [DataRow(Sqlite)]
    [DataRow(Postgres)]
    public void AnEndThatComesTwiceCountsOnce(string kind)
    {
        using var folder = new TemporaryFolder();
        using IStudyStore store = Open(kind, folder);
        TrialPlan plan = Plan(1, 0.5);
        TrialResult first = Result(plan, [new(1, 0.25, null)]);
        store.Start(plan);

        bool counted = store.Finish(first);
        bool countedAgain = store.Finish(first with
        {
            State = TrialState.Failed,
            Metric = null,
            Error = "later",
            Curve = [new(1, 7, null), new(2, 7, null)],
        });

        Assert.IsTrue(counted);
        Assert.IsFalse(countedAgain);
        Assert.AreEqual(TinySweep.Table([first]), TinySweep.Table(store.Read(Space).Values));
    }

    [TestMethod]
    [DataRow(Sqlite)]
    [DataRow(Postgres)]
    public void ATrialThatStartsAgainHasAnEmptyCurve(string kind)
    {
        using var folder = new TemporaryFolder();
        using IStudyStore store = Open(kind, folder);
        TrialPlan plan = Plan(1, 0.5);
        store.Start(plan);
        store.AddCurvePoint(1, 1, new CurvePoint(3, 0.75, 0.125));
        Assert.AreEqual(new CurvePoint(3, 0.75, 0.125), store.Read(Space)[1].Curve.Single());

        store.Start(plan);

        Assert.IsEmpty(store.Read(Space)[1].Curve);
        Assert.AreEqual(TrialState.Running, store.Read(Space)[1].State);
    }

    [TestMethod]
    [DataRow(Sqlite)]
    [DataRow(Postgres)]
    public void AnotherDefinitionIsRefusedAndTheDifferenceShown(string kind)
    {
        using var folder = new TemporaryFolder();
        Open(kind, folder).Dispose();
        using IStudyStore store = Make(kind, folder);

        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(() => store.Open(Defined("grid")));

        Assert.Contains("tuner: the study has 'random', the experiment 'grid'", error.Message);
    }

    [TestMethod]
    [DataRow(Sqlite)]
    [DataRow(Postgres)]
    public void AStudyBelongsToOneExperimentAtATime(string kind)
    {
        using var folder = new TemporaryFolder();
        using IStudyStore store = Open(kind, folder);
        using IStudyStore other = Make(kind, folder);

        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(() => other.Open(Definition));

        Assert.Contains("is in use by another experiment", error.Message);
    }

    [TestMethod]
    public void ATrialIsTakenByOneWorkerAtATime()
    {
        using var folder = new TemporaryFolder();
        using IStudyStore experiment = Open(Postgres, folder);
        TrialPlan plan = Plan(1, 0.5);
        experiment.Start(plan);
        using PostgresStudyStore first = Joined(folder), second = Joined(folder), third = Joined(folder);
        Assert.IsTrue(first.Claim(1, CancellationToken.None));

        // It waits, and is let in where the first one dies, and turned away where it finishes.
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        Assert.ThrowsExactly<OperationCanceledException>(() => second.Claim(1, soon.Token));
        first.Dispose();
        Assert.IsTrue(second.Claim(1, CancellationToken.None));
        second.Finish(Result(plan, []));
        Assert.IsFalse(third.Claim(1, CancellationToken.None));
    }

    [TestMethod]
    [DataRow("Host=127.0.0.1;Port=1;Username=nobody", "cannot be reached")]
    [DataRow("{0};Database=nowhere", "does not exist")]
    [DataRow("{0};Password=wrong", "refuses the user")]
    public void AServerThatCannotBeUsedIsAnErrorThatSaysWhatToDo(string connection, string what)
    {
        using var store = new PostgresStudyStore(string.Format(null, connection, s_server!.ConnectionString), "study");

        IOException error = Assert.ThrowsExactly<IOException>(() => store.Open(Definition));

        Assert.Contains(what, error.Message);
        Assert.DoesNotContain("Password", error.Message.Split(". ")[0]);
    }

    private static IStudyStore Open(string kind, TemporaryFolder folder)
    {
        IStudyStore store = Make(kind, folder);
        store.Open(Definition);
        return store;
    }

    private static IStudyStore Make(string kind, TemporaryFolder folder) =>
        kind == Sqlite ? new SqliteStudyStore(folder.File("study.db")) : new PostgresStudyStore(s_server!.ConnectionString, folder.Path);

    private static TrialPlan ReadPlan(IStudyStore store, int trial) =>
        store is SqliteStudyStore file ? file.ReadPlan(trial) : ((PostgresStudyStore)store).ReadPlan(trial);

    private static PostgresStudyStore Joined(TemporaryFolder folder)
    {
        var store = new PostgresStudyStore(s_server!.ConnectionString, folder.Path);
        store.Join();
        return store;
    }

    private static StudyDefinition Defined(string tuner) => new([new("tuner", tuner), new("seed", "0")]);

    private static TrialPlan Plan(int trial, double gamma, params double[] limits) =>
        new(new TrialSettings(trial, new OrderedDictionary<string, object?> { ["Gamma"] = gamma, ["Rank"] = trial }), limits);

    private static double Gamma(TrialPlan plan) => (double)plan.Settings.Parameters["Gamma"]!;

    private static TrialResult Result(TrialPlan plan, CurvePoint[] curve) =>
        new()
        {
            TrialSettings = plan.Settings,
            State = TrialState.Completed,
            Metric = Gamma(plan),
            Orthonormality = Gamma(plan) * 3,
            Curve = curve,
            DurationInMilliseconds = 1.5,
        };
}
