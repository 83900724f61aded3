using System.Text.Json;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>What is written of a training says the template of that training, whichever verb writes it.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class ModelCardsOfTheToolTests
{
    private const string Template = "Q: {prompt} A:";

    private static readonly TemporaryFolder s_folder = new();
    private static readonly string s_run = s_folder.File("run"), s_adapter = Path.Combine(s_run, "adapter");

    [ClassInitialize]
    public static void Train(TestContext context) => SorsaCommand.Run(
        ["train", SorsaCommand.WriteRows(s_folder), .. SorsaCommand.Training, "--prompt-template", Template, "--out", s_run]).Succeeds();

    [ClassCleanup]
    public static void Remove() => s_folder.Dispose();

    [TestMethod]
    [DataRow("merge {model} {adapter}")]
    [DataRow("export {run} --format hf")]
    [DataRow("export {run} --format adapter")]
    [DataRow("export {run} --format peft")]
    [DataRow("export {model} --adapter {adapter} --format hf")]
    [DataRow("export {model} --adapter {adapter} --format lora-difference")]
    public void TheCardHasTheTemplate(string command)
    {
        string written = s_folder.File(Guid.NewGuid().ToString("N"));

        SorsaCommand.Run([.. command.Split(' ').Select(Filled), "--out", written]).Succeeds();

        string card = File.ReadAllText(Path.Combine(written, "README.md"));
        Assert.Contains(Template, card);
        Assert.IsFalse(card.Contains("### Instruction", StringComparison.Ordinal), card);
    }

    [TestMethod]
    public void TheCommandLinesTemplateComesFirst()
    {
        string written = s_folder.File("other");

        SorsaCommand.Run("export", s_run, "--format", "adapter", "--prompt-template", "Now {prompt}", "--out", written).Succeeds();

        Assert.Contains("Now {prompt}", File.ReadAllText(Path.Combine(written, "README.md")));
    }

    /// <summary>The base with the training's adapter is asked as the training's model is.</summary>
    [TestMethod]
    public void AnAdapterBringsItsTrainingsTemplate()
    {
        string expected = SorsaCommand.Run("generate", s_run, "1 + 1").Succeeds().Output;

        Assert.AreEqual(
            expected, SorsaCommand.Run("generate", TestData.TinyLlama, "1 + 1", "--adapter", s_adapter).Succeeds().Output);
    }

    /// <summary>PEFT has no SORSA: what was written is an ordinary LoRA, and that is said.</summary>
    [TestMethod]
    [DataRow("peft", "lora-difference")]
    [DataRow("adapter", "adapter")]
    public void TheFormatThatWasWrittenIsSaid(string asked, string written)
    {
        JsonElement json = SorsaCommand.Run(
            "export", s_run, "--format", asked, "--out", s_folder.File($"said-{asked}"), "--json").Succeeds().Json;

        Assert.AreEqual(written, json.GetProperty("format").GetString());
    }

    private static string Filled(string word) => word switch
    {
        "{model}" => TestData.TinyLlama,
        "{run}" => s_run,
        "{adapter}" => s_adapter,
        _ => word,
    };
}
