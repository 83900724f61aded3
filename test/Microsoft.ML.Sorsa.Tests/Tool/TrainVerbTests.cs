using System.Text.Json;
using Microsoft.ML.Sorsa.Tests.Memory;
using Microsoft.ML.Sorsa.Tool;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>Trainings from the command line: what they write, and that the same words give the same bits.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class TrainVerbTests
{
    [TestMethod]
    public void ATrainingWritesARunAndSaysSoInJson()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), run = folder.File("run");

        JsonElement json = SorsaCommand.Run(["train", rows, .. SorsaCommand.Training, "--out", run, "--json"]).Succeeds().Json;

        Assert.AreEqual(3, json.GetProperty("steps").GetInt32());
        Assert.IsGreaterThan(0, json.GetProperty("loss").GetDouble());
        Assert.IsTrue(File.Exists(Path.Combine(json.GetProperty("model").GetString()!, "config.json")));
        Assert.IsTrue(File.Exists(Path.Combine(json.GetProperty("adapter").GetString()!, "adapter.json")));
        Assert.IsTrue(File.Exists(json.GetProperty("mergeReport").GetString()));
        Assert.IsTrue(File.Exists(json.GetProperty("report").GetString()));
        Assert.IsTrue(Directory.Exists(Path.Combine(run, "checkpoints", "checkpoint-3")));
        Assert.IsNotEmpty(Directory.GetFiles(Path.Combine(run, "tensorboard")));
        Assert.Contains("fewer than 20", json.GetProperty("warnings")[0].GetString()!);
    }

    /// <summary>In the report, and in run.json, so that the run trained again has them too.</summary>
    [TestMethod]
    public void BothModelsAnswerWhatTheReportAsks()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), run = folder.File("run"), again = folder.File("again");
        string[] asked = ["--ask", "7 + 5, in <words>?", "--ask", "A second one"];

        SorsaCommand.Run(["train", rows, .. SorsaCommand.Training, .. asked, "--out", run]).Succeeds();
        SorsaCommand.Run("train", "--config", Path.Combine(run, "run.json"), "--out", again).Succeeds();

        string before = SorsaCommand.Run("generate", TestData.TinyLlama, "A second one").Succeeds().Output.Trim();
        foreach (string page in new[] { run, again }.Select(one => File.ReadAllText(Path.Combine(one, "report.html"))))
        {
            Assert.Contains("7 + 5, in &lt;words&gt;?", page);
            Assert.Contains("A second one", page);
            Assert.Contains(System.Net.WebUtility.HtmlEncode(before), page);
        }
    }

    /// <summary>A text in the file is one question, whatever stands in it.</summary>
    [TestMethod]
    public void AQuestionInAFileIsWhatItSays()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), config = folder.File("mine.json"), run = folder.File("run");
        File.WriteAllText(config, """{"Ask": "left,right"}""");

        SorsaCommand.Run(["train", rows, .. SorsaCommand.Training, "--config", config, "--max-steps", "1", "--out", run]).Succeeds();

        using JsonDocument written = JsonDocument.Parse(File.ReadAllText(Path.Combine(run, "run.json")));
        Assert.AreEqual("""["left,right"]""", written.RootElement.GetProperty("Ask").GetRawText().Replace("\n", "").Replace(" ", ""));
    }

    [TestMethod]
    public void AQuestionThatIsTooLongIsRefusedBeforeTheTraining()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), run = folder.File("run");
        string question = string.Join(' ', Enumerable.Repeat("marbles", 3000));

        CommandResult result = SorsaCommand.Run(["train", rows, .. SorsaCommand.Training, "--ask", question, "--out", run]);

        Assert.AreEqual(ExitCode.Usage, result.ExitCode);
        Assert.Contains("sorsa: --ask: Prompt 1 has ", result.Error);
        Assert.DoesNotContain("step 1", result.Error);
        Assert.IsFalse(Directory.Exists(run));
    }

    /// <summary>Before the base is loaded for its answers: of two faults the one that is cheap to see is told.</summary>
    [TestMethod]
    public void WhatDoesNotFitIsRefusedBeforeTheBaseIsAsked()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), run = folder.File("run"), model = folder.File("giant");
        Directory.CreateDirectory(model);
        RandomFolder.WriteHollow(model, new RandomSizes(8192, 22016, 400, 64, 64, 32000));
        string question = string.Join(' ', Enumerable.Repeat("marbles", 200_000));

        CommandResult result = SorsaCommand.Run("train", rows, "--model-folder", model, "--ask", question, "--out", run);

        Assert.AreEqual(ExitCode.Memory, result.ExitCode, result.Error);
        Assert.Contains("Training needs", result.Error);
        Assert.IsFalse(Directory.Exists(run));
    }

    /// <summary>run.json holds all of it: the file alone gives the same model and the same file again.</summary>
    [TestMethod]
    public void ARunIsTrainedAgainFromItsFile()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), first = folder.File("first"), second = folder.File("second");
        string[] special =
        [
            "--prompt-template", "Q: {prompt}\nA:", "--seed", "7", "--validation-fraction", "0.25", "--row-order", "as-given",
            "--warmup-ratio", "0.1", "--max-grad-norm", "null", "--generation-stop-strings", "\n\n", "--checkpoint-folder", "null",
        ];

        SorsaCommand.Run(["train", rows, .. SorsaCommand.Training, .. special, "--out", first]).Succeeds();
        SorsaCommand.Run(["train", "--config", Path.Combine(first, "run.json"), "--out", second]).Succeeds();

        AssertSame(first, second, Path.Combine("model", "model.safetensors"));
        AssertSame(first, second, "run.json");
        Assert.IsFalse(Directory.Exists(Path.Combine(first, "checkpoints")));
    }

    [TestMethod]
    public void TheCommandLineComesBeforeTheFile()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), config = folder.File("mine.json"), run = folder.File("run");
        File.WriteAllText(config, JsonSerializer.Serialize(new Dictionary<string, object?>
        {
            ["data"] = rows,
            ["model-folder"] = TestData.TinyLlama,
            ["rank"] = 2,
            ["batch-size"] = 6,
            ["max-steps"] = 1,
        }));

        SorsaCommand.Run("train", "--config", config, "--rank", "3", "--out", run).Succeeds();

        using JsonDocument written = JsonDocument.Parse(File.ReadAllText(Path.Combine(run, "run.json")));
        Assert.AreEqual(3, written.RootElement.GetProperty("Rank").GetInt32());
        Assert.AreEqual(6, written.RootElement.GetProperty("BatchSize").GetInt32());
        JsonElement adapter = SorsaCommand.Run("inspect", Path.Combine(run, "adapter"), "--json").Succeeds().Json;
        Assert.AreEqual(3, adapter.GetProperty("rank").GetInt32());
    }

    /// <summary>A table and a folder of files hold the same rows as the JSON lines.</summary>
    [TestMethod]
    public void TheKindOfFileMakesNoDifference()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder);
        Directory.CreateDirectory(folder.File("data"));
        string[] lines = [.. Surface.TinyTask.Rows.Select(row => $"\"{row.Prompt}\";;\"{row.Response}\"")];
        File.WriteAllLines(folder.File("rows.csv"), ["Prompt;Other;Response", .. lines]);
        File.WriteAllLines(folder.File("data", "a.csv"), ["Prompt,Response", .. lines[..5].Select(line => line.Replace(";;", ","))]);
        File.WriteAllLines(folder.File("data", "b.tsv"), ["Prompt\tResponse", .. lines[5..].Select(line => line.Replace(";;", "\t"))]);
        string[] data = [rows, folder.File("rows.csv"), folder.File("data")];

        foreach ((string path, int i) in data.Select((path, i) => (path, i)))
        {
            SorsaCommand.Run(["train", path, .. SorsaCommand.Training, "--out", folder.File($"run{i}")]).Succeeds();
        }

        string model = Path.Combine("model", "model.safetensors");
        AssertSame(folder.File("run0"), folder.File("run1"), model);
        AssertSame(folder.File("run0"), folder.File("run2"), model);
    }

    [TestMethod]
    public void AFolderMayBringItsValidationRows()
    {
        using var folder = new TemporaryFolder();
        string data = Directory.CreateDirectory(folder.File("data")).FullName;
        SorsaCommand.WriteRows(folder, Path.Combine("data", "train.jsonl"));
        SorsaCommand.WriteRows(folder, Path.Combine("data", "validation.jsonl"));
        File.WriteAllText(Path.Combine(data, "README.md"), "not rows");

        JsonElement json = SorsaCommand.Run(["train", data, .. SorsaCommand.Training, "--out", folder.File("run"), "--json"])
            .Succeeds().Json;

        Assert.AreEqual(3, json.GetProperty("steps").GetInt32());
        Assert.IsGreaterThan(0, json.GetProperty("validationLoss").GetDouble());
    }

    /// <summary>Methods that train the weights themselves have no adapter, and every method comes to its end.</summary>
    [TestMethod]
    public void EveryMethodIsSaved()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder);
        FineTuningMethod[] withoutAdapter =
            [FineTuningMethod.Full, FineTuningMethod.Partial, FineTuningMethod.GaLore, FineTuningMethod.Lisa];

        foreach (FineTuningMethod method in Enum.GetValues<FineTuningMethod>())
        {
            string run = folder.File(method.ToString());
            SorsaCommand.Run(
                "train", rows, "--model-folder", TestData.TinyLlama, "--batch-size", "4", "--max-steps", "1", "--method", method.ToString(),
                "--out", run).Succeeds();

            Assert.IsTrue(Directory.Exists(Path.Combine(run, "model")));
            Assert.AreEqual(!withoutAdapter.Contains(method), Directory.Exists(Path.Combine(run, "adapter")), method.ToString());
        }
    }

    private static void AssertSame(string first, string second, string file) =>
        CollectionAssert.AreEqual(File.ReadAllBytes(Path.Combine(first, file)), File.ReadAllBytes(Path.Combine(second, file)), file);
}
