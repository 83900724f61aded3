using System.Reflection;
using Microsoft.Data.Sqlite;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>What an SQLite study keeps, and what it says when it cannot.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsStoreTests
{
    private static readonly SorsaSearchSpace s_space = new()
    {
        ["Gamma"] = new UniformDoubleOption(1e-5, 1e-2, logBase: true),
        ["Method"] = new ChoiceOption(FineTuningMethod.Sorsa, FineTuningMethod.AdaLora),
    };

    private static readonly StudyDefinition s_definition =
        new([new("seed", "0"), new("search space.Gamma", "uniform from 0 to 1 (option 1)")]);

    [TestMethod]
    public void NumbersComeBackToTheLastBit()
    {
        using var folder = new TemporaryFolder();
        TrialResult written = Result(1) with
        {
            Metric = 0.1 + 0.2,
            Orthonormality = 4e-4,
            Curve = [new CurvePoint(3, Math.BitIncrement(1), null), new CurvePoint(6, 1e-300, double.Epsilon)],
        };
        using (SqliteStudyStore store = Open(folder))
        {
            store.Start(Plan(1, 2.5, double.PositiveInfinity, 1.0 / 3));
            Assert.IsTrue(store.Finish(written));
        }

        using SqliteStudyStore again = Open(folder);
        TrialResult read = again.Read(s_space)[1];

        Assert.AreEqual(SweepTask.Line(written), SweepTask.Line(read));
        Assert.AreEqual(written.DurationInMilliseconds, read.DurationInMilliseconds);
        Assert.AreEqual(
            typeof(SorsaTransformer).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion,
            read.Version);
        Assert.AreEqual(4e-4, read.TrialSettings.Parameters["Gamma"]);
        CollectionAssert.AreEqual(new[] { 2.5, double.PositiveInfinity, 1.0 / 3 }, again.ReadPlan(1).Limits.ToArray());
        Assert.AreEqual("Gamma", again.ReadPlan(1).Settings.Parameters.Keys.First());
    }

    /// <summary>Anyone with sqlite3 finds γ by its name, as the number and as the text that it was given as.</summary>
    [TestMethod]
    public void GammaStandsInTheFileAsItWasGiven()
    {
        using var folder = new TemporaryFolder();
        using SqliteStudyStore store = Open(folder);
        store.Start(Plan(1));
        using var connection = new SqliteConnection($"Data Source={folder.File("s.db")};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "SELECT text, number FROM sorsa_parameter WHERE name = 'Gamma'";
        using SqliteDataReader row = command.ExecuteReader();

        Assert.IsTrue(row.Read());
        Assert.AreEqual("0.0004", row.GetString(0));
        Assert.AreEqual(4e-4, row.GetDouble(1));
    }

    [TestMethod]
    public void AResultThatComesTwiceCountsOnce()
    {
        using var folder = new TemporaryFolder();
        using SqliteStudyStore store = Open(folder);
        store.Start(Plan(1));
        Assert.IsTrue(store.Finish(Result(1)));
        Assert.IsFalse(store.Finish(Result(1) with { Metric = 77, Curve = [] }));
        store.Start(Plan(1));

        Assert.AreEqual(SweepTask.Line(Result(1)), SweepTask.Line(store.Read(s_space)[1]));
        Assert.IsFalse(store.Finish(Result(2)), "A trial that was never started has no end.");
    }

    [TestMethod]
    public void ATrialThatStartsAgainHasAnEmptyCurve()
    {
        using var folder = new TemporaryFolder();
        using SqliteStudyStore store = Open(folder);
        store.Start(Plan(1));
        store.AddCurvePoint(1, 1, new CurvePoint(5, 2, null));
        Assert.HasCount(1, store.Read(s_space)[1].Curve);
        Assert.AreEqual(TrialState.Running, store.Read(s_space)[1].State);
        store.Start(Plan(1));

        Assert.IsEmpty(store.Read(s_space)[1].Curve);
    }

    [TestMethod]
    public void AnotherDefinitionIsRefusedWithItsDifferences()
    {
        using var folder = new TemporaryFolder();
        Open(folder).Dispose();
        using var store = new SqliteStudyStore(folder.File("s.db"));
        var other = new StudyDefinition(
        [
            new("seed", "1"),
            new("search space.Gamma", "uniform from 0 to 1 (option 1)"),
            new("search space.Rank", "choice of 4 (option 2)"),
        ]);
        InvalidOperationException refused = Assert.ThrowsExactly<InvalidOperationException>(() => store.Open(other));

        Assert.Contains("seed: the study has '0', the experiment '1'", refused.Message);
        Assert.Contains("search space.Rank: the study has nothing, the experiment 'choice of 4 (option 2)'", refused.Message);
        Assert.DoesNotContain("search space.Gamma", refused.Message);
    }

    [TestMethod]
    public void AStudyIsOneExperimentsAtATime()
    {
        using var folder = new TemporaryFolder();
        using SqliteStudyStore first = Open(folder);
        using var second = new SqliteStudyStore(folder.File("s.db"));

        Assert.Contains(
            "is in use by another experiment",
            Assert.ThrowsExactly<InvalidOperationException>(() => second.Open(s_definition)).Message);
    }

    [TestMethod]
    [DataRow("PRAGMA max_page_count = 1", "does not fit on the disk any more", DisplayName = "full disk")]
    [DataRow("PRAGMA query_only = ON", "is read-only", DisplayName = "read-only")]
    public void WhatCannotBeWrittenIsSaid(string pragma, string message)
    {
        using var folder = new TemporaryFolder();
        using (SqliteStudyStore store = Open(folder))
        {
            store.Start(Plan(1));
            store.Finish(Result(1));
            store.Start(Plan(2));
            var connection = (SqliteConnection)typeof(SqliteStudyStore)
                .GetField("_connection", BindingFlags.NonPublic | BindingFlags.Instance)!
                .GetValue(store)!;
            using SqliteCommand command = connection.CreateCommand();
            command.CommandText = pragma;
            command.ExecuteNonQuery();
            IOException refused = Assert.ThrowsExactly<IOException>(
                () => store.Finish(Result(2) with { State = TrialState.Failed, Error = new string('x', 1_000_000) }));

            Assert.Contains(message, refused.Message);
            Assert.Contains("what the study holds stays", refused.Message);
        }

        using SqliteStudyStore again = Open(folder);
        Assert.AreEqual(SweepTask.Line(Result(1)), SweepTask.Line(again.Read(s_space)[1]));
        Assert.AreEqual(TrialState.Running, again.Read(s_space)[2].State);
    }

    [TestMethod]
    public void ALockedDatabaseIsSaid()
    {
        using var folder = new TemporaryFolder();
        using SqliteStudyStore store = Open(folder);
        store.Start(Plan(1));
        using var other = new SqliteConnection($"Data Source={folder.File("s.db")};Pooling=False");
        other.Open();
        using (SqliteTransaction held = other.BeginTransaction())
        {
            Assert.Contains("is locked by another program", Assert.ThrowsExactly<IOException>(() => store.Finish(Result(1))).Message);
        }

        Assert.IsTrue(store.Finish(Result(1)), "Once the lock is gone, the study goes on.");
    }

    [TestMethod]
    public void WhatIsNoDatabaseIsSaid()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("s.db"), new string('x', 5000));

        Assert.Contains("is no SQLite database", Assert.ThrowsExactly<IOException>(() => Open(folder)).Message);
        Assert.AreEqual(new string('x', 5000), File.ReadAllText(folder.File("s.db")));
    }

    [TestMethod]
    public void AFolderThatIsNotThereIsSaid()
    {
        using var folder = new TemporaryFolder();
        using var store = new SqliteStudyStore(folder.File("none", "s.db"));

        Assert.Contains("its folder does not exist", Assert.ThrowsExactly<IOException>(() => store.Open(s_definition)).Message);
    }

    private static SqliteStudyStore Open(TemporaryFolder folder)
    {
        var store = new SqliteStudyStore(folder.File("s.db"));
        try
        {
            store.Open(s_definition);
            return store;
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    private static TrialPlan Plan(int trial, params double[] limits) => new(Settings(trial), limits);

    private static TrialSettings Settings(int trial) =>
        new(trial, new OrderedDictionary<string, object?> { ["Gamma"] = 4e-4, ["Method"] = FineTuningMethod.AdaLora });

    private static TrialResult Result(int trial) => new()
    {
        TrialSettings = Settings(trial),
        State = TrialState.Completed,
        Metric = 1.25,
        Curve = [new CurvePoint(10, 1.5, 1e-7), new CurvePoint(20, 1.25, 2e-7)],
        DurationInMilliseconds = 12.75,
    };
}
