using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tests.EvaluateModel;

/// <summary>The sample as a user runs it.</summary>
[TestClass]
[TestCategory("Samples")]
[TestCategory(SlowTestAttribute.Category)]
public sealed partial class EvaluateModelProgramTests
{
    /// <summary>Questions that the bundled model answers, in the form of each benchmark.</summary>
    private const string Gsm8k = """
        {"question": "Mia has 12 apples. She buys 5 more. How many apples does she have now?", "answer": "12 + 5 = <<12+5=17>>17\n#### 17"}
        {"question": "Tom has 9 marbles. He loses 4. How many marbles are left?", "answer": "9 - 4 = <<9-4=5>>5\n#### 5"}
        """;

    private const string Math = """
        {"problem": "Mia has 12 apples. She buys 5 more. How many apples does she have now?", "solution": "It is $\\boxed{17}$."}
        {"problem": "Tom has 9 marbles. He loses 4. How many marbles are left?", "solution": "Nobody knows."}
        {"problem": "Three is no crowd.", "solution": "This row is beyond those that are asked: $\\boxed{3}$."}
        """;

    private const string Choices = """
        {"id": "1", "question": "Mia has 12 apples. She buys 5 more.", "choices": ["12 + 5 = 17", "12 + 5 = 93"], "answer": 0}
        """;

    /// <summary>Built once, when the first test runs it.</summary>
    private static readonly Lazy<string> s_program = new(() =>
    {
        string sample = Path.Combine(TestData.Root, "samples", "EvaluateModel");
        (int code, string output) = Dotnet("build", sample, "-c", Configuration, "-v", "q");
        Assert.AreEqual(0, code, output);
        return Path.Combine(sample, "bin", Configuration, "net10.0", "EvaluateModel.dll");
    });

    private static string Configuration => new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    [TestMethod]
    [SlowTest]
    public void WithoutArgumentsTheBundledModelAnswersItsStories()
    {
        using var folder = new TemporaryFolder();

        (int code, string output) = Run(folder, "--rows", "20");

        Assert.AreEqual(0, code, output);
        Assert.Contains("arithmetic stories, asked by the question alone", output);
        Assert.MatchesRegex(Answers, output);

        // It knows the arithmetic, and not the form that the strict grader asks for.
        Assert.Contains("gsm8k-strict: 0 of 20 right", output);
        Match flexible = Flexible.Match(output);
        Assert.IsGreaterThan(10, int.Parse(flexible.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture), output);
        Assert.AreEqual(
            "gsm8k-flexible.csv gsm8k-flexible.html gsm8k-metamath.csv gsm8k-metamath.html gsm8k-strict.csv gsm8k-strict.html",
            string.Join(' ', Directory.GetFiles(folder.File("out")).Select(Path.GetFileName).Order(StringComparer.Ordinal)));
        Assert.HasCount(1 + 20, File.ReadAllLines(Path.Combine(folder.File("out"), "gsm8k-strict.csv"))
            .Where(line => line.StartsWith("row,", StringComparison.Ordinal) || Row.IsMatch(line)).ToArray());
    }

    [TestMethod]
    [SlowTest]
    public void FilesOfEveryKindAreEvaluated()
    {
        using var folder = new TemporaryFolder();
        foreach ((string name, string content) in new[]
        {
            ("gsm8k.jsonl", Gsm8k), ("math.jsonl", Math), ("arc.jsonl", Choices), ("text.txt", "Mia has 12 apples. She buys 5 more."),
        })
        {
            File.WriteAllText(folder.File(name), content);
        }

        (int code, string output) = Run(
            folder, "--model", TestData.TinyLlama, "--gsm8k", folder.File("gsm8k.jsonl"), "--gsm8k-train", folder.File("gsm8k.jsonl"),
            "--shots", "1", "--math", folder.File("math.jsonl"), "--arc", folder.File("arc.jsonl"), "--text", folder.File("text.txt"),
            "--prompts", "LmEval", "--max-new-tokens", "4", "--rows", "2");

        Assert.AreEqual(1, code, output);
        Assert.Contains("GSM-8K, asked by gsm8k-1-shot", output);

        // Minerva's examples are more than the model's 512 positions.
        Assert.Contains("the model has 512 positions", output);

        (code, output) = Run(
            folder, "--gsm8k", folder.File("gsm8k.jsonl"), "--math", folder.File("math.jsonl"), "--arc", folder.File("arc.jsonl"),
            "--text", folder.File("text.txt"), "--prompts", "Plain", "--max-new-tokens", "24", "--rows", "2");

        Assert.AreEqual(0, code, output);
        Assert.Contains("MATH, asked by the question alone", output);
        Assert.Contains("1 rows without a verdict", output);
        Assert.Contains("row 2: The grader math-verify finds no answer in the reference 'Nobody knows.'", output);
        Assert.MatchesRegex(Accuracies, output);
        Assert.MatchesRegex(Perplexity, output);
        Assert.IsTrue(File.Exists(Path.Combine(folder.File("out"), "choices.csv")));
    }

    [TestMethod]
    [SlowTest]
    public void WhatDoesNotFitIsSaidWithTheArgument()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("gsm8k.jsonl"), Gsm8k);
        File.WriteAllText(folder.File("empty.jsonl"), "");
        foreach ((string[] arguments, string error) in new (string[], string)[]
        {
            (["--gsm8k", "nowhere.jsonl"], "--gsm8k is 'nowhere.jsonl', and there is no such file."),
            (["--math", folder.File("gsm8k.jsonl")], "there is no property 'problem'"),
            (["--gsm8k", folder.File("empty.jsonl")], "has no rows"),
            (["--gsm8k-train", folder.File("gsm8k.jsonl")], "--gsm8k-train has examples for --gsm8k, which is not there."),
            (["--shots", "3"], "--shots is for --prompts LmEval, and questions are asked by Plain."),
            (
                ["--shots", "3", "--gsm8k", folder.File("gsm8k.jsonl"), "--prompts", "LmEval"],
                "--shots is 3, and there is no --gsm8k-train to draw examples from."
            ),
            (
                [
                    "--gsm8k", folder.File("gsm8k.jsonl"), "--gsm8k-train", folder.File("gsm8k.jsonl"), "--prompts", "LmEval",
                    "--shots", "3",
                ],
                "shots is 3; it must be from 0 to 2, the rows of trainData."
            ),
            (["--rows", "0"], "--rows is 0; it must be at least 1."),
            (["--rows", "2", "--model", "nowhere"], "The model folder 'nowhere' does not exist."),
        })
        {
            (int code, string output) = Run(folder, arguments);

            Assert.AreNotEqual(0, code, output);
            Assert.Contains(error, output);
        }
    }

    [GeneratedRegex(@"20 answers in \d+\.\d s, \d+\.\d\d a second")]
    private static partial Regex Answers { get; }

    [GeneratedRegex(@"gsm8k-flexible: (\d+) of 20 right, .* \(95 %: .* to .*\)")]
    private static partial Regex Flexible { get; }

    [GeneratedRegex(@"^\d+,(right|wrong),")]
    private static partial Regex Row { get; }

    [GeneratedRegex(@"arc\.jsonl\n  1 questions: likeliest right 1, ")]
    private static partial Regex Accuracies { get; }

    [GeneratedRegex(@"text\.txt\n  .*perplexity \d")]
    private static partial Regex Perplexity { get; }

    private static (int Code, string Output) Run(TemporaryFolder folder, params string[] arguments) =>
        Dotnet([s_program.Value, .. arguments, "--out", folder.File("out")]);

    private static (int Code, string Output) Dotnet(params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo("dotnet", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + error.Result);
    }
}
