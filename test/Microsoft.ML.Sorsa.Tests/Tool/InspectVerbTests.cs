using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tests.Surface;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>What a path is, and how large what it holds.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class InspectVerbTests
{
    /// <summary>tiny-llama-math's README says how many parameters it has.</summary>
    private const long Parameters = 1_238_656;

    [TestMethod]
    public void AModelIsDescribed()
    {
        JsonElement json = SorsaCommand.Run("inspect", TestData.TinyLlama, "--json").Succeeds().Json;

        Assert.AreEqual("model", json.GetProperty("kind").GetString());
        Assert.AreEqual(6, json.GetProperty("num_hidden_layers").GetInt32());
        JsonElement weights = json.GetProperty("weights");
        Assert.AreEqual(Parameters, weights.GetProperty("parameters").GetInt64());
        Assert.AreEqual(2 * Parameters, weights.GetProperty("bytes").GetInt64());
        Assert.AreEqual(Parameters, weights.GetProperty("types").GetProperty("BF16").GetProperty("parameters").GetInt64());
        Assert.Contains("1,238,656 parameters", SorsaCommand.Run("inspect", TestData.TinyLlama).Succeeds().Output);
    }

    [TestMethod]
    public void WhatATrainingLeavesIsDescribed()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), run = folder.File("run"), zip = folder.File("model.zip");
        string plain = folder.File("plain"), gguf = folder.File("gguf");
        SorsaCommand.Run(["train", rows, .. SorsaCommand.Training, "--out", run]).Succeeds();
        SorsaCommand.Run("export", run, "--format", "zip", "--out", zip).Succeeds();
        SorsaCommand.Run("export", run, "--format", "gguf", "--out", gguf).Succeeds();
        File.Copy(zip, plain);

        JsonElement whole = Inspect(run), adapter = Inspect(Path.Combine(run, "adapter"));
        JsonElement checkpoint = Inspect(Path.Combine(run, "checkpoints", "checkpoint-3"));

        Assert.AreEqual("run", whole.GetProperty("kind").GetString());
        Assert.IsTrue(whole.GetProperty("done").GetBoolean());
        Assert.AreEqual("checkpoint-3", whole.GetProperty("checkpoints")[0].GetString());
        Assert.AreEqual("adapter", adapter.GetProperty("kind").GetString());
        Assert.AreEqual(4, adapter.GetProperty("rank").GetInt32());
        Assert.AreEqual("checkpoint", checkpoint.GetProperty("kind").GetString());
        Assert.AreEqual(3, checkpoint.GetProperty("step").GetInt32());
        Assert.AreEqual("checkpoint", Inspect(Path.Combine(run, "checkpoints")).GetProperty("kind").GetString());
        Assert.AreEqual(Parameters, Inspect(zip).GetProperty("weights").GetProperty("parameters").GetInt64());

        // A file is known by its beginning, too.
        Assert.AreEqual("zip", Inspect(plain).GetProperty("kind").GetString());
        Assert.AreEqual("gguf", Inspect(gguf).GetProperty("kind").GetString());
        Assert.AreEqual(
            Parameters,
            Inspect(Path.Combine(run, "model", "model.safetensors")).GetProperty("weights").GetProperty("parameters").GetInt64());
    }

    [TestMethod]
    public void RowsAreCountedAndMeasured()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder);
        const int Limit = 30;

        JsonElement alone = Inspect(rows);
        JsonElement json = SorsaCommand.Run(
            "inspect", rows, "--model-folder", TestData.TinyLlama, "--max-response-length", "6", "--prompt-template", "{prompt}",
            "--max-prompt-length", $"{Limit}", "--json").Succeeds().Json;

        (DataStatistics expected, _) = new MLContext().Sorsa().DescribeData(
            new SorsaFineTuningTrainer.Options
            {
                ModelFolder = TestData.TinyLlama,
                MaxResponseLength = 6,
                MaxPromptLength = Limit,
                PromptTemplate = PromptTemplate.Format("{prompt}"),
            },
            TinyTask.Data(new MLContext()));
        Assert.AreEqual("data", alone.GetProperty("kind").GetString());
        Assert.AreEqual(TinyTask.Rows.Length, alone.GetProperty("rows").GetInt32());
        Assert.AreEqual(
            TinyTask.Rows.Max(row => row.Prompt.Length), alone.GetProperty("Prompt").GetProperty("longestCharacters").GetInt32());
        Assert.IsFalse(alone.TryGetProperty("tokens", out _));
        JsonElement responses = json.GetProperty("tokens").GetProperty("responses");
        Assert.AreEqual(expected.Responses!.Longest, responses.GetProperty("longest").GetInt32());
        Assert.IsGreaterThan(0, responses.GetProperty("cutTexts").GetInt32());
        Assert.AreEqual(expected.Responses.CutTexts, responses.GetProperty("cutTexts").GetInt32());
    }

    [TestMethod]
    public void ColumnsOfOtherNamesAreSaid()
    {
        JsonElement json = Inspect(Path.Combine(TestData.Root, "samples", "YourOwnData", "stories.csv"));

        string?[] columns = [.. json.GetProperty("columns").EnumerateArray().Select(column => column.GetString())];
        Assert.AreEqual("Story, Question, Answer", string.Join(", ", columns));
        Assert.AreEqual(400, json.GetProperty("rows").GetInt32());
        Assert.Contains("--prompt-column-name", json.GetProperty("note").GetString()!);
    }

    private static JsonElement Inspect(string path) => SorsaCommand.Run("inspect", path, "--json").Succeeds().Json;
}
