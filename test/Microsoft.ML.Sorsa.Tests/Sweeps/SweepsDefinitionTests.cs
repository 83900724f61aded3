using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa.Tests.Sweeps;

/// <summary>What of a study is compared when it goes on, and what of it other machines are told.</summary>
[TestClass]
[TestCategory("Sweeps")]
public sealed class SweepsDefinitionTests
{
    /// <summary>What columns are called decides nothing; versions before 0.2 wrote it down.</summary>
    [TestMethod]
    [DataRow("PromptColumnName")]
    [DataRow("ResponseColumnName")]
    [DataRow("OutputColumnName")]
    public void NamesOfColumnsAreNotCompared(string option) =>
        Assert.IsNull(Differences(new() { ["trainer." + option] = "Answer" }, new() { ["trainer." + option] = "Reply" })
            ?? Differences(new() { ["trainer." + option] = "Answer" }, []));

    /// <summary>The gradients are the same to the bit: a study whose trials ran out of memory goes on with it.</summary>
    [TestMethod]
    public void GradientCheckpointingIsNotCompared()
    {
        const string Name = "trainer.GradientCheckpointing";
        Assert.IsNull(Differences(new() { [Name] = "false" }, new() { [Name] = "true" }));
        Assert.IsNull(Differences([], new() { [Name] = "true" }));
        Assert.IsNotNull(Differences([], new() { ["trainer.LogitsChunkSize"] = "7" }));
    }

    /// <summary>An option that came later was not there to be set: the study had its default.</summary>
    [TestMethod]
    public void AnOptionThatTheStudyDoesNotKnowHadItsDefault()
    {
        Assert.IsNull(Differences([], new() { ["trainer.Dropout"] = "0" }));
        Assert.Contains(
            "trainer.Dropout: the study has '0', the experiment '0.5'", Differences([], new() { ["trainer.Dropout"] = "0.5" })!);
    }

    [TestMethod]
    public void AnOptionThatThisVersionDoesNotKnowIsADifference() =>
        Assert.Contains(
            "trainer.Momentum: the study has '0.9', the experiment nothing", Differences(new() { ["trainer.Momentum"] = "0.9" }, [])!);

    [TestMethod]
    public void WhatDecidesIsCompared()
    {
        Assert.Contains("seed: the study has '0', the experiment '1'", Differences(new() { ["seed"] = "0" }, new() { ["seed"] = "1" })!);
        Assert.Contains(
            "trainer.Generation: the study has 'a', the experiment 'b'",
            Differences(new() { ["trainer.Generation"] = "a" }, new() { ["trainer.Generation"] = "b" })!);
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("null")]
    [DataRow("[]")]
    [DataRow("""{"seed":1}""")]
    [DataRow("""{"seed":null}""")]
    [DataRow("""{"seed":"0" """)]
    public void ADefinitionThatIsNoneIsRefused(string json) =>
        Assert.ThrowsExactly<InvalidDataException>(() => StudyDefinition.Parse(json));

    [TestMethod]
    [DataRow("""{"threads per trial":"0"}""")]
    [DataRow("""{"threads per trial":"-1"}""")]
    [DataRow("""{"threads per trial":"1000000"}""")]
    [DataRow("""{"threads per trial":"two"}""")]
    [DataRow("{}")]
    public void AWorkerTakesNoNumberOfThreadsThatIsNone(string json) =>
        Assert.Contains(
            "threads per trial",
            Assert.ThrowsExactly<InvalidDataException>(() => StudyDefinition.Parse(json).ThreadsPerTrial).Message);

    [TestMethod]
    [DataRow("")]
    [DataRow("null")]
    [DataRow("{}")]
    [DataRow("""{"Trainer":{},"LargestRank":0,"Train":[],"Validation":[]}""")]
    [DataRow("""{"Trainer":{},"LargestRank":4,"Train":[["a"]],"Validation":[]}""")]
    [DataRow("""{"Trainer":{},"LargestRank":4,"Train":[["a",null]],"Validation":[]}""")]
    [DataRow("""{"Trainer":{},"LargestRank":4,"Train":[null],"Validation":[]}""")]
    [DataRow("""{"Trainer":{},"LargestRank":4,"Train":[]}""")]
    [DataRow("""{"Trainer":{"Rank":4},"LargestRank":4,"Train":[],"Validation":[]}""")]
    public void InputsThatAreNoneAreRefused(string json) =>
        Assert.ThrowsExactly<InvalidDataException>(() => StudyInputs.Parse(json));

    /// <summary>Whoever can write to the database writes these: none of them may name a place on a worker's machine.</summary>
    [TestMethod]
    public void NoOptionThatAWorkerTakesNamesAFile()
    {
        string[] names = [.. new SorsaFineTuningTrainer.Options().ToTexts().Select(option => option.Key)];

        Assert.Contains("Rank", names);
        Assert.DoesNotContain(
            name => name.Contains("Folder", StringComparison.Ordinal) || name.Contains("Path", StringComparison.Ordinal)
                || name.Contains("File", StringComparison.Ordinal), names);
        Assert.ThrowsExactly<ArgumentException>(
            () => StudyInputs.Parse("""{"Trainer":{"ModelFolder":"/etc"},"LargestRank":4,"Train":[],"Validation":[]}""").Trainer("model"));
    }

    [TestMethod]
    [DataRow("Gamma", "NaN")]
    [DataRow("Gamma", "0.5")]
    [DataRow("Gamma", "x")]
    [DataRow("Rank", "65")]
    [DataRow("Rank", "4.5")]
    [DataRow("Rank", "99999999999")]
    [DataRow("Method", "Galore")]
    public void AValueOutsideTheSearchSpaceIsNone(string option, string text)
    {
        var space = new SorsaSearchSpace
        {
            ["Gamma"] = new UniformDoubleOption(1e-5, 1e-2, logBase: true),
            ["Rank"] = new UniformIntOption(4, 64),
            ["Method"] = new ChoiceOption(FineTuningMethod.Sorsa, FineTuningMethod.Lora),
        };

        Assert.Contains($"'{text}'", Assert.ThrowsExactly<InvalidDataException>(() => space[option].Parse(text)).Message);
    }

    /// <summary>The message of the refusal; null where the study goes on.</summary>
    private static string? Differences(Dictionary<string, string> stored, Dictionary<string, string> experiment)
    {
        try
        {
            new StudyDefinition(experiment).RequireSame(new StudyDefinition(stored), "The study");
            return null;
        }
        catch (InvalidOperationException e)
        {
            return e.Message;
        }
    }
}
