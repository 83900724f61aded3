using ReproducePaper;

namespace Microsoft.ML.Sorsa.Tests.ReproducePaper;

/// <summary>A study on disk: what is done stays done, and nothing of another study gets in.</summary>
[TestClass]
[TestCategory("Samples")]
public sealed class StudyFolderTests
{
    private static readonly Run s_run = new() { Kind = RunKind.Gamma, Method = "sorsa", LearningRate = 2e-3, Seed = 1, Gamma = 0.4 };

    [TestMethod]
    public void AResultIsReadAsItWasWritten()
    {
        using var temporary = new TemporaryFolder();
        StudyFolder folder = StudyFolder.Open(temporary.Path, Settings());
        var result = new RunResult
        {
            Run = s_run,
            SecondsPerStep = 0.25,
            Steps = [new StepRecord(1, double.PositiveInfinity, 1.0 / 3, null)],
            Scores = [new Score("stories", 3, 4)],
        };
        Assert.IsNull(folder.Find(s_run));

        folder.Add(result);

        RunResult read = StudyFolder.Open(temporary.Path, Settings()).Find(s_run)!;
        Assert.AreEqual(result.Steps[0], read.Steps[0]);
        Assert.AreEqual(result.Scores[0], read.Scores[0]);
        Assert.IsNull(folder.Find(s_run with { Seed = 2 }));
        Assert.IsNull(folder.Find(s_run with { Gamma = null }));
        Assert.IsNull(folder.Find(s_run with { Kind = RunKind.Reported }));
    }

    /// <summary>Of the bundled model the folder is the program's, which may be built elsewhere.</summary>
    [TestMethod]
    public void AStudyKnowsNoPlaceOfTheProgram()
    {
        using var temporary = new TemporaryFolder();
        StudyFolder folder = StudyFolder.Open(temporary.Path, Settings());

        string text = File.ReadAllText(folder.PathOf("study.json"));
        Assert.DoesNotContain(AppContext.BaseDirectory, text);
        Assert.DoesNotContain(nameof(StudySettings.WholeSteps), text);
        Assert.AreEqual(folder.Settings.WholeSteps, StudyFolder.Read(temporary.Path).Settings.WholeSteps);
    }

    [TestMethod]
    public void AnotherStudyIsRefused()
    {
        using var temporary = new TemporaryFolder();
        StudyFolder.Open(temporary.Path, Settings());

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => StudyFolder.Open(temporary.Path, Settings() with { Rank = 4 }));

        StringAssert.Contains(error.Message, "--out");
    }

    [TestMethod]
    public void OtherRowsUnderTheSameNameAreAnotherStudy()
    {
        using var temporary = new TemporaryFolder();
        string rows = Path.Combine(temporary.Path, "train.jsonl"), output = Path.Combine(temporary.Path, "out");
        File.WriteAllText(rows, "a");
        StudyFolder.Open(output, Settings() with { Train = rows });
        File.WriteAllText(rows, "b");

        Assert.ThrowsExactly<InvalidOperationException>(() => StudyFolder.Open(output, Settings() with { Train = rows }));
    }

    /// <summary>Half of a file, and a file of another run.</summary>
    [TestMethod]
    public void ADamagedResultIsNamed()
    {
        using var temporary = new TemporaryFolder();
        StudyFolder folder = StudyFolder.Open(temporary.Path, Settings());
        folder.Add(new RunResult { Run = s_run });
        string file = Directory.GetFiles(Path.Combine(temporary.Path, "runs")).Single();
        string text = File.ReadAllText(file);

        File.WriteAllText(file, text[..(text.Length / 2)]);
        StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(() => folder.Find(s_run)).Message, Path.GetFileName(file));
        File.WriteAllText(file, text.Replace("\"Seed\":1", "\"Seed\":2", StringComparison.Ordinal));
        StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(() => folder.Find(s_run)).Message, Path.GetFileName(file));
    }

    /// <summary>A row that is trained on, chooses a rate and is asked would make all three worthless.</summary>
    [TestMethod]
    public void NoRowIsInTwoSets()
    {
        StudyData data = StudyData.Load(Settings() with { Rows = 300, ValidationRows = 100, TestRows = 100 });
        HashSet<string> train = [.. data.Train.Select(row => row.Prompt)], validation = [.. data.Validation.Select(row => row.Prompt)];
        string[] asked = [.. data.Tests.Single().Rows.Select(row => row.Prompt)];

        Assert.HasCount(300, data.Train);
        Assert.HasCount(100, asked);
        Assert.IsFalse(train.Overlaps(validation));
        Assert.IsFalse(train.Overlaps(asked));
        Assert.IsFalse(validation.Overlaps(asked));
    }

    [TestMethod]
    public void SumsHaveOneRightChoice()
    {
        foreach (Microsoft.ML.Sorsa.Evaluation.MultipleChoiceQuestion sum in BaseKnowledge.Sums(100))
        {
            string[] parts = sum.Question.Split(' ');
            string right = (int.Parse(parts[0]) + int.Parse(parts[2])).ToString(System.Globalization.CultureInfo.InvariantCulture);

            Assert.AreEqual(right, sum.Choices[sum.Answer]);
            Assert.HasCount(4, sum.Choices.Distinct().ToArray());
        }
    }

    /// <summary>Two files of one name: a change of either is another study.</summary>
    [TestMethod]
    public void FilesAreToldApartByWhatTheyAreFor()
    {
        using var temporary = new TemporaryFolder();
        string gsm8k = temporary.File("gsm8k"), math = temporary.File("math"), output = temporary.File("out");
        foreach (string folder in new[] { gsm8k, math })
        {
            Directory.CreateDirectory(folder);
            File.WriteAllText(Path.Combine(folder, "test.jsonl"), folder);
        }

        StudySettings settings = Settings() with
        {
            Gsm8k = Path.Combine(gsm8k, "test.jsonl"),
            Math = Path.Combine(math, "test.jsonl"),
        };
        StudyFolder.Open(output, settings);
        File.WriteAllText(settings.Gsm8k, "changed");

        Assert.ThrowsExactly<InvalidOperationException>(() => StudyFolder.Open(output, settings));
    }

    /// <summary>The rules of PEFT's script: marks in their order, the last place of the first mark, up to the line's end.</summary>
    [TestMethod]
    [DataRow("So 3 + 4.\nThe answer is: 7", "#### 7", true)]
    [DataRow("#### 7\nThe answer is 8", "#### 7", false)]
    [DataRow("The answer is: 7\n#### 8", "#### 7", true)]
    [DataRow("The final answer is 7.", "#### 7", true)]
    [DataRow("The answer is $12.50", "#### 12.5", true)]
    [DataRow("The answer is 1,234", "#### 1,234", true)]
    [DataRow("The answer is 1234", "#### 1,234", false)]
    [DataRow("The answer is 50%", "#### 50", true)]
    [DataRow("The answer is: 1/2", "#### 0.5", true)]
    [DataRow("The answer is: 1/2", "#### 1", false)]
    [DataRow("The answer is: 1/0", "#### 1", false)]
    [DataRow("The answer is 12 eggs", "#### 12", false)]
    [DataRow("The answer is -3.\n\nQuestion: 4", "#### -3", true)]
    [DataRow("7", "#### 7", false)]
    public void PeftsGraderJudgesAsPeftsScript(string text, string gold, bool right) =>
        Assert.AreEqual(right, new PeftGrader().Grade(text, gold).Correct);

    [TestMethod]
    public void ArgumentsThatNothingReadsAreRefused()
    {
        var error = Assert.ThrowsExactly<ArgumentException>(() => (Presets.Get(Presets.Bundled) with { Text = "wiki.txt" }).Verify());
        StringAssert.Contains(error.Message, "--text");
        Assert.ThrowsExactly<ArgumentException>(() => Presets.Get(Presets.Llama2).Verify());
        Assert.ThrowsExactly<ArgumentException>(() => (Presets.Get(Presets.Files) with { Model = "m", Train = "t" }).Verify());
    }

    private static StudySettings Settings() => Presets.Get(Presets.Bundled) with
    {
        Model = Path.Combine(TestData.Root, "samples", "models", "tiny-llama-math"),
    };
}
