using System.Globalization;
using Microsoft.Data.Sqlite;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>A study in which something is otherwise than it was written, or that is none.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsDamagedStudyTests
{
    private static readonly SorsaSearchSpace s_space = new()
    {
        ["Gamma"] = new UniformDoubleOption(1e-5, 1e-2, logBase: true),
        ["Rank"] = new UniformIntOption(2, 8),
        ["Method"] = new ChoiceOption("Sorsa", "Lora"),
    };

    private static readonly StudyDefinition s_definition = new([new("metric", "validation loss"), new("seed", "0")]);

    /// <summary>Whatever is changed in a table, the message names the file, the trial and what is wrong there.</summary>
    [TestMethod]
    [DataRow("UPDATE sorsa_trial SET state = 'Done' WHERE trial = 2", "trial 2", "column 'state' of table sorsa_trial holds 'Done'")]
    [DataRow("UPDATE sorsa_trial SET state = '1' WHERE trial = 2", "trial 2", "holds '1', where one of Running, Completed")]
    [DataRow("UPDATE sorsa_trial SET metric = 'x' WHERE trial = 2", "trial 2", "column 'metric' of table sorsa_trial holds 'x'")]
    [DataRow("UPDATE sorsa_trial SET metric = x'00ff' WHERE trial = 2", "trial 2", "column 'metric' of table sorsa_trial holds 2 bytes")]
    [DataRow("UPDATE sorsa_trial SET metric = NULL WHERE trial = 2", "trial 2", "it is completed, and its metric is null")]
    [DataRow("UPDATE sorsa_trial SET metric = 9e999 WHERE trial = 2", "trial 2", "its metric is ")]
    [DataRow("UPDATE sorsa_trial SET metric = metric + 0.125 WHERE trial = 2", "trial 2", "the results are not as they were written")]
    [DataRow("UPDATE sorsa_trial SET milliseconds = -1 WHERE trial = 1", "trial 1", "holds -1, where a number from 0 on belongs")]
    [DataRow("UPDATE sorsa_trial SET trial = 1.5 WHERE trial = 1", "", "column 'trial' of table sorsa_trial holds 1.5")]
    [DataRow("UPDATE sorsa_trial SET trial = -4 WHERE trial = 1", "", "column 'trial' of table sorsa_trial holds -4")]
    [DataRow("DELETE FROM sorsa_trial WHERE trial = 2", "trial 2", "it was started, and is gone")]
    [DataRow("UPDATE sorsa_trial SET error = 'x' WHERE trial = 1", "trial 1", "the results are not as they were written")]
    [DataRow("UPDATE sorsa_curve SET loss = 'x' WHERE trial = 1 AND look = 2", "trial 1", "column 'loss' of table sorsa_curve holds 'x'")]
    [DataRow("UPDATE sorsa_curve SET step = 0 WHERE trial = 1", "trial 1", "column 'step' of table sorsa_curve holds 0")]
    [DataRow("UPDATE sorsa_curve SET orthonormality = 2e-7 WHERE trial = 1", "trial 1", "the results are not as they were written")]
    [DataRow("UPDATE sorsa_curve SET loss = loss + 1e-15 WHERE trial = 1 AND look = 1", "trial 1", "the results are not as they were")]
    [DataRow("DELETE FROM sorsa_curve WHERE trial = 1", "trial 1", "the results are not as they were written")]
    [DataRow("DELETE FROM sorsa_curve WHERE trial = 1 AND look = 1", "trial 1", "its losses have number 2 where 1 belongs")]
    [DataRow("UPDATE sorsa_parameter SET text = 'x', number = NULL WHERE name = 'Gamma'", "trial 1", "parameters are not as they were")]
    [DataRow("UPDATE sorsa_parameter SET text = '0.003' WHERE name = 'Gamma'", "trial 1", "Gamma is '0.003' as a text, and 0.0004 as")]
    [DataRow("DELETE FROM sorsa_parameter WHERE trial = 3", "trial 3", "it has no parameters")]
    [DataRow("DELETE FROM sorsa_parameter WHERE trial = 3 AND name = 'Rank'", "trial 3", "the parameters are not as they were written")]
    [DataRow("DELETE FROM sorsa_hash", "trial 1", "not as they were written")]
    [DataRow("UPDATE sorsa_study SET definition = 'null'", "", "column 'definition' of table sorsa_study cannot be read")]
    [DataRow("UPDATE sorsa_study SET definition = '{\"seed\":'", "", "It is not the JSON that a study has there")]
    [DataRow("UPDATE sorsa_study SET definition = '{\"seed\":null}'", "", "something is null")]
    [DataRow("UPDATE sorsa_study SET definition = replace(definition, 'loss', 'lo55')", "", "its hash is another one")]
    [DataRow("UPDATE sorsa_format SET begun = 'yesterday'", "", "'yesterday' is no date")]
    [DataRow("UPDATE sorsa_format SET format = 'two'", "", "column 'format' of table sorsa_format holds 'two'")]
    public void WhatIsOtherwiseThanItWasWrittenIsNamed(string sql, string trial, string message)
    {
        using var folder = new TemporaryFolder();
        Write(folder);
        Change(folder, sql);

        InvalidDataException refused = Assert.ThrowsExactly<InvalidDataException>(() => Read(folder));

        Assert.Contains(folder.File("s.db"), refused.Message);
        Assert.Contains($"is damaged{(trial.Length == 0 ? "" : " at " + trial)}", refused.Message);
        Assert.Contains(message, refused.Message);
        Assert.Contains("Put a copy of the study back", refused.Message);
    }

    /// <summary>Every byte of the file, in turn: an error that says what to do, or the trials as they were. Never other numbers.</summary>
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    public void NoByteMakesOtherNumbers(int half)
    {
        using var folder = new TemporaryFolder();
        Write(folder);
        string[] expected = Read(folder);
        byte[] whole = File.ReadAllBytes(folder.File("s.db"));
        int loaded = 0, refused = 0;
        for (int i = half; i < whole.Length; i += 2 * 83)
        {
            byte[] changed = [.. whole];
            changed[i] ^= (byte)(1 << i % 8);
            File.WriteAllBytes(folder.File("s.db"), changed);
            try
            {
                CollectionAssert.AreEqual(expected, Read(folder), $"byte {i}");
                loaded++;
            }
            catch (Exception e) when (e is InvalidDataException or IOException or InvalidOperationException)
            {
                Assert.Contains(folder.File("s.db"), e.Message);
                refused++;
            }
        }

        Assert.IsGreaterThan(0, loaded);
        Assert.IsGreaterThan(0, refused);
    }

    [TestMethod]
    public void AFileThatIsCutIsRefused()
    {
        using var folder = new TemporaryFolder();
        Write(folder);
        byte[] whole = File.ReadAllBytes(folder.File("s.db"));
        foreach (int length in new[] { 50, 100, 4096, 5000, whole.Length - 4096, whole.Length - 1 })
        {
            File.WriteAllBytes(folder.File("s.db"), whole[..length]);

            Exception refused = Assert.Throws<Exception>(() => Read(folder));
            Assert.IsTrue(refused is InvalidDataException or IOException, refused.ToString());
            Assert.Contains(folder.File("s.db"), refused.Message);
        }
    }

    [TestMethod]
    public void AnotherProgramsDatabaseIsLeftAsItIs()
    {
        using var folder = new TemporaryFolder();
        Change(folder, "CREATE TABLE bookmarks (url TEXT)");
        byte[] before = File.ReadAllBytes(folder.File("s.db"));

        InvalidDataException refused = Assert.ThrowsExactly<InvalidDataException>(() => Read(folder));

        Assert.Contains("is the database of something else: its tables are bookmarks. Name another path.", refused.Message);
        CollectionAssert.AreEqual(before, File.ReadAllBytes(folder.File("s.db")));
    }

    [TestMethod]
    public void AnEmptyFileBecomesAStudy()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("s.db"), []);

        Assert.IsEmpty(Read(folder));
    }

    [TestMethod]
    public void AStudyOfANewerVersionIsRefusedAsSuch()
    {
        using var folder = new TemporaryFolder();
        Write(folder);
        Change(folder, "UPDATE sorsa_format SET format = 3");

        InvalidOperationException refused = Assert.ThrowsExactly<InvalidOperationException>(() => Read(folder));

        Assert.Contains("was written by a newer version of the library, in format 3", refused.Message);
    }

    /// <summary>As version 0.1 left it: it goes on, is not said to have been begun today, and is watched from then on.</summary>
    [TestMethod]
    public void AStudyWithoutHashesGetsThem()
    {
        using var folder = new TemporaryFolder();
        Write(folder);
        string[] expected = Read(folder);
        Change(folder, "DROP TABLE sorsa_hash; DROP TABLE sorsa_format");

        CollectionAssert.AreEqual(expected, Read(folder));
        using (SqliteStudyStore store = Open(folder))
        {
            Assert.IsNull(store.Begun);
        }

        Change(folder, "UPDATE sorsa_curve SET orthonormality = 1 WHERE trial = 2 AND look = 1");
        Assert.Contains("trial 2", Assert.ThrowsExactly<InvalidDataException>(() => Read(folder)).Message);
    }

    [TestMethod]
    public void AStudyKnowsWhenItWasBegun()
    {
        using var folder = new TemporaryFolder();
        DateTimeOffset before = DateTimeOffset.UtcNow;
        Write(folder);
        DateTimeOffset after = DateTimeOffset.UtcNow;
        using SqliteStudyStore again = Open(folder);

        Assert.IsTrue(again.Begun >= before && again.Begun <= after, $"{before:O} {again.Begun:O} {after:O}");
    }

    /// <summary>What a killed process leaves beside the file belongs to it.</summary>
    [TestMethod]
    public void AWriteAheadLogThatWasLeftIsPartOfTheStudy()
    {
        using var folder = new TemporaryFolder();
        using (SqliteStudyStore store = Open(folder))
        {
            store.Start(Plan(1));
            store.Finish(Result(1));
            File.Copy(folder.File("s.db"), folder.File("copy.db"));
            File.Copy(folder.File("s.db-wal"), folder.File("copy.db-wal"));
        }

        CollectionAssert.AreEqual(new[] { SweepTask.Line(Result(1) with { Orthonormality = 0 }) }, Read(folder, "copy.db"));
    }

    /// <summary>Two workers of one trial write its curve: it is whole when the trial is at its end.</summary>
    [TestMethod]
    public void ATrialThatRunsMayLackThePointsOfAnEarlierWorker()
    {
        using var folder = new TemporaryFolder();
        using (SqliteStudyStore store = Open(folder))
        {
            store.Start(Plan(1));
        }

        Change(folder, "INSERT INTO sorsa_curve (study, trial, look, step, loss) SELECT study, trial, 5, 50, 1.5 FROM sorsa_trial");
        using SqliteStudyStore again = Open(folder);

        Assert.IsEmpty(again.Read(s_space)[1].Curve);
        Assert.AreEqual(TrialState.Running, again.Read(s_space)[1].State);
    }

    private static void Write(TemporaryFolder folder)
    {
        using SqliteStudyStore store = Open(folder);
        foreach (int trial in new[] { 1, 2 })
        {
            store.Start(Plan(trial));
            store.Finish(Result(trial));
        }

        store.Start(Plan(3));
    }

    private static SqliteStudyStore Open(TemporaryFolder folder, string file = "s.db")
    {
        var store = new SqliteStudyStore(folder.File(file));
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

    private static string[] Read(TemporaryFolder folder, string file = "s.db")
    {
        using SqliteStudyStore store = Open(folder, file);
        _ = store.Begun;
        return [.. store.Read(s_space).Values.OrderBy(trial => trial.TrialSettings.TrialId).Select(SweepTask.Line)];
    }

    private static void Change(TemporaryFolder folder, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={folder.File("s.db")};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static TrialPlan Plan(int trial) => new(
        new TrialSettings(trial, new OrderedDictionary<string, object?> { ["Gamma"] = 4e-4, ["Rank"] = 4, ["Method"] = "Sorsa" }),
        [2.5, double.PositiveInfinity]);

    private static TrialResult Result(int trial) => new()
    {
        TrialSettings = Plan(trial).Settings,
        State = TrialState.Completed,
        Metric = 1.25,
        Curve = [new CurvePoint(10, 1.5, 1e-7), new CurvePoint(20, 1.25, 0)],
        Orthonormality = -0.0,
        DurationInMilliseconds = 12.75 + trial.ToString(CultureInfo.InvariantCulture).Length,
    };
}
