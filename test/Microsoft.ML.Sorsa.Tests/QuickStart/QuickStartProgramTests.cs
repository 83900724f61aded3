using System.Diagnostics;

namespace Microsoft.ML.Sorsa.Tests.QuickStart;

/// <summary>The sample as a user runs it: what it writes it reads again.</summary>
[TestClass]
[TestCategory("Samples")]
[TestCategory(SlowTestAttribute.Category)]
public sealed class QuickStartProgramTests
{
    private static readonly string[] s_short = ["--rows", "64", "--steps", "4", "--test-rows", "4", "--max-new-tokens", "8"];

    [TestMethod]
    [SlowTest]
    public void ItsFilesAreItsInput()
    {
        using var folder = new TemporaryFolder();
        string first = folder.File("first"), second = folder.File("second"), zip = Path.Combine(first, "model.zip");

        (int code, string output) = Run("", [.. s_short, "--method", "Lora", "--out", first]);
        Assert.AreEqual(0, code, output);
        Assert.Contains("training: Lora, 4 steps", output);
        Assert.Contains("warning: Training has only 4 steps", output);

        // The rows, and the replies beside them.
        (code, output) = Run("",
        [
            .. s_short, "--train", Path.Combine(first, "quickstart-train.jsonl"),
            "--test", Path.Combine(first, "quickstart-replies.jsonl"), "--out", second,
        ]);
        Assert.AreEqual(0, code, output);
        CollectionAssert.AreEqual(
            File.ReadAllLines(Path.Combine(first, "quickstart-train.jsonl")),
            File.ReadAllLines(Path.Combine(second, "quickstart-train.jsonl")));
        Assert.HasCount(4, File.ReadAllLines(Path.Combine(second, "quickstart-replies.jsonl")));

        // The model.
        (code, output) = Run("", ["--model", zip, "--test", Path.Combine(first, "quickstart-test.jsonl")]);
        Assert.AreEqual(0, code, output);
        Assert.Contains("of 4 (", output);
        string tooLong = string.Concat(Enumerable.Repeat("Mia has 12 apples. ", 200));
        (code, output) = Run(
            $"{tooLong}\nMia has 12 apples. She buys 5 more. How many?\n\n", ["--model", zip, "--interactive"]);
        Assert.AreEqual(0, code, output);
        Assert.Contains("Ask the model; an empty line ends.", output);
        Assert.Contains("> The prompt has 512 tokens", output);
        Assert.HasCount(3, output.Split("> ").Skip(1).ToArray(), output);
    }

    [TestMethod]
    [SlowTest]
    public void ASavedModelIsNotTrained()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("model.zip"), "");

        (int code, string output) = Run("", ["--model", folder.File("model.zip"), "--steps", "3"]);

        Assert.AreNotEqual(0, code);
        Assert.Contains("--model is a saved model, which is asked and not trained. Leave --steps out", output);
    }

    private static (int Code, string Output) Run(string input, string[] arguments)
    {
        string configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        string project = Path.Combine(TestData.Root, "samples", "QuickStart");
        var start = new ProcessStartInfo("dotnet", ["run", "--project", project, "-c", configuration, "--", .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + error.Result);
    }
}
