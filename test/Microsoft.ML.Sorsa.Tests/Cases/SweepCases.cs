using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tests.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>Sweeps: what ends one, where its files are, and studies that somebody damaged.</summary>
[TestClass]
[DoNotParallelize]
[TestCategory("Cases")]
[TestCategory("Sweeps")]
public sealed class SweepCases
{
    /// <summary>An evaluation that throws on one row ends its trial, and not the sweep.</summary>
    [TestMethod]
    public void Case09AMetricThatThrowsFailsItsTrial()
    {
        int trial = 0;
        SweepMetric metric = SweepMetric.Of("answers", (_, _) => ++trial == 1
            ? throw new ArgumentException("Row 7 has 900 tokens; the model has 256 positions.")
            : 1);

        using ExperimentResult result = Short.SetMetric(metric).SetMaxModelToExplore(2).Run();

        Assert.AreEqual(
            "The metric 'answers' threw ArgumentException: Row 7 has 900 tokens; the model has 256 positions.", result.Trials[0].Error);
        Assert.AreEqual(2, result.BestRun.TrialSettings.TrialId);
    }

    [TestMethod]
    public void Case21PathsOfASweepAreThoseThatWereNamedWhenTheyWereSet()
    {
        using var here = new TemporaryFolder();
        using var elsewhere = new TemporaryFolder();
        string before = Environment.CurrentDirectory;
        try
        {
            Environment.CurrentDirectory = Path.GetDirectoryName(TestData.TinyLlama)!;
            SorsaFineTuningTrainer.Options trainer = SweepTask.Trainer;
            trainer.ModelFolder = Path.GetFileName(TestData.TinyLlama);
            trainer.MaxSteps = 2;
            SorsaExperiment experiment = SweepTask.Experiment.SetTrainer(trainer);
            Environment.CurrentDirectory = here.Path;
            experiment.SetStudy("s.db").SetDecompositionCache("svd").SetMaxModelToExplore(1);
            Environment.CurrentDirectory = elsewhere.Path;

            experiment.Run().Dispose();
        }
        finally
        {
            Environment.CurrentDirectory = before;
        }

        Assert.IsTrue(File.Exists(here.File("s.db")));
        Assert.IsNotEmpty(Directory.GetFiles(here.File("svd")));
        Assert.IsEmpty(Directory.GetFileSystemEntries(elsewhere.Path));
    }

    /// <summary>A file of version 0.1 that is cut short, and one in which bits were flipped.</summary>
    [TestMethod]
    [DataRow("study-cut-loads-without-curves")]
    [DataRow("study-json-exception")]
    public void AttackADamagedStudyIsRefusedByName(string attack)
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(TestData.Attack(attack), "study.db"), folder.File("study.db"));
        using var store = new SqliteStudyStore(folder.File("study.db"));

        InvalidDataException refused = Assert.ThrowsExactly<InvalidDataException>(() => store.Open(new StudyDefinition([])));

        Assert.Contains($"The study '{folder.File("study.db")}' is damaged: SQLite finds ", refused.Message);
    }

    /// <summary>
    /// The change of that input, one number in one row, in a study of this version. (In the input itself, of version 0.1, nothing is there
    /// to compare with.)
    /// </summary>
    [TestMethod]
    public void AttackStudySilentOtherNumbersIsRefused()
    {
        using var folder = new TemporaryFolder();
        Short.SetMaxModelToExplore(1).SetStudy(folder.File("s.db")).Run().Dispose();
        using (var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={folder.File("s.db")};Pooling=False"))
        {
            connection.Open();
            using Microsoft.Data.Sqlite.SqliteCommand command = connection.CreateCommand();
            command.CommandText = "UPDATE sorsa_curve SET orthonormality = orthonormality + 7e-11 WHERE trial = 1 AND look = 1";
            Assert.AreEqual(1, command.ExecuteNonQuery());
        }

        InvalidDataException refused = Assert.ThrowsExactly<InvalidDataException>(
            () => Short.SetMaxModelToExplore(1).SetStudy(folder.File("s.db")).Run());

        Assert.Contains("is damaged at trial 1: the results are not as they were written", refused.Message);
    }

    /// <summary>Another user may lay files into the temporary folder before the worker does.</summary>
    [TestMethod]
    public void AttackWorkerCacheInTmpIsInTheUsersOwnFolder()
    {
        string folder = SorsaSweepWorker.DefaultCacheFolder();

        Assert.DoesNotContain(Path.TrimEndingDirectorySeparator(Path.GetTempPath()) + Path.DirectorySeparatorChar, folder);
        Assert.IsTrue(Directory.Exists(folder));
        if (!OperatingSystem.IsWindows())
        {
            Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
        }
    }

    private static SorsaExperiment Short
    {
        get
        {
            SorsaFineTuningTrainer.Options trainer = SweepTask.Trainer;
            trainer.MaxSteps = 2;
            return SweepTask.Experiment.SetTrainer(trainer)
                .SetSearchSpace(new SorsaSearchSpace { ["Gamma"] = new ChoiceOption(4e-4, 1e-3) })
                .SetTuner(new RandomSearchTuner())
                .SetPruning(null);
        }
    }
}
