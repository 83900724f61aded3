using System.Text.Json;
using Microsoft.ML.Sorsa.Sweeps;
using Microsoft.ML.Sorsa.Tool;
using Microsoft.ML.Sorsa.Tool.Inputs;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>A sweep from the command line, and how its space is written.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class SweepVerbTests
{
    [TestMethod]
    public void ASweepFindsTheBestTrialAndKeepsItsModel()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), sweep = folder.File("sweep");
        string[] arguments =
        [
            "sweep", rows, .. SorsaCommand.Training, "--validation-data", rows, "--vary", "rank=2,4", "--vary",
            "learning-rate=1e-4..1e-2:log", "--trials", "3", "--tuner", "random", "--no-pruning", "--out", sweep,
        ];

        JsonElement json = SorsaCommand.Run([.. arguments, "--json"]).Succeeds().Json;

        JsonElement[] trials = [.. json.GetProperty("trials").EnumerateArray()];
        Assert.HasCount(3, trials);
        Assert.AreEqual(trials.Min(Metric), Metric(json.GetProperty("best")));
        foreach (JsonElement trial in trials)
        {
            JsonElement parameters = trial.GetProperty("parameters");
            Assert.Contains(parameters.GetProperty("Rank").GetInt32(), [2, 4]);
            Assert.IsInRange(1e-4, 1e-2, parameters.GetProperty("LearningRate").GetDouble());
        }

        Assert.IsTrue(File.Exists(Path.Combine(sweep, "report.html")));
        Assert.IsTrue(File.Exists(Path.Combine(sweep, "model", "config.json")));
        Assert.AreEqual(ExitCode.Output, SorsaCommand.Run(arguments).ExitCode);

        // A study that is not done, as one that was interrupted leaves it: its trials are not trained again.
        Directory.Delete(Path.Combine(sweep, "model"), recursive: true);
        JsonElement again = SorsaCommand.Run([.. arguments, "--json"]).Succeeds().Json;
        Assert.AreEqual(json.GetProperty("best").GetRawText(), again.GetProperty("best").GetRawText());

        static double Metric(JsonElement trial) => trial.GetProperty("metric").GetDouble();
    }

    [TestMethod]
    public void ASpaceIsWrittenInOneWord()
    {
        SorsaSearchSpace space = VariedOptions.Parse(
            ["rank=8..32", "gamma=1e-5..1e-2:log", "Method=sorsa,Lora", "max-grad-norm=0.5,null", "quantization-rounds=1,2"]);

        Assert.IsInstanceOfType<UniformIntOption>(space["Rank"]);
        var gamma = (UniformDoubleOption)space["Gamma"];
        Assert.AreEqual((1e-5, 1e-2, true), (gamma.Min, gamma.Max, gamma.LogBase));
        CollectionAssert.AreEqual(
            new object?[] { FineTuningMethod.Sorsa, FineTuningMethod.Lora }, ((ChoiceOption)space["Method"]).Values.ToArray());
        CollectionAssert.AreEqual(new object?[] { 0.5, null }, ((ChoiceOption)space["MaxGradNorm"]).Values.ToArray());
    }

    [TestMethod]
    [DataRow("rank", "must be NAME=")]
    [DataRow("rnak=1,2", "Did you mean rank?")]
    [DataRow("rank=a,b", "whole number")]
    [DataRow("method=Lora..Sorsa", "only numbers have ranges")]
    [DataRow("rank=1,2:log", "must be NAME=")]
    public void AnotherWordIsRefused(string text, string expected)
    {
        CommandException refused = Assert.ThrowsExactly<CommandException>(() => VariedOptions.Parse([text]));

        Assert.AreEqual(ExitCode.Usage, refused.ExitCode);
        Assert.Contains(expected, refused.Message);
    }
}
