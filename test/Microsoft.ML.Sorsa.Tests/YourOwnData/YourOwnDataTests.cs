using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tests.YourOwnData;

/// <summary>docs/your-own-data.md: its program is the sample's, which is built with the solution, and does what the page says.</summary>
[TestClass]
[TestCategory("Samples")]
public sealed partial class YourOwnDataTests
{
    private static readonly string s_sample = Path.Combine(TestData.Root, "samples", "YourOwnData");

    [TestMethod]
    public void ThePageShowsTheSample()
    {
        string page = File.ReadAllText(Path.Combine(TestData.Root, "docs", "your-own-data.md"));

        string[] blocks = [.. CodeBlock().Matches(page).Select(block => block.Groups[1].Value)];

        Assert.AreEqual(File.ReadAllText(Path.Combine(s_sample, "Program.cs")), string.Join('\n', blocks));
    }

    [TestMethod]
    [SlowTest]
    [TestCategory(SlowTestAttribute.Category)]
    public void TheSampleLearnsAnswersAndReadsWhatItSaved()
    {
        using var folder = new TemporaryFolder();
        string configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        string[] arguments =
        [
            "run", "--project", s_sample, "-c", configuration, "--", TestData.TinyLlama, Path.Combine(s_sample, "stories.csv"),
        ];
        using Process process = Process.Start(new ProcessStartInfo("dotnet", arguments)
        {
            WorkingDirectory = folder.Path,
            RedirectStandardOutput = true,
        })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();

        Assert.AreEqual(0, process.ExitCode, output);
        Assert.IsFalse(output.Contains("warning:", StringComparison.Ordinal), output);
        Assert.MatchesRegex("There are 12 \\+ 5 = 17 .*\n#### 17\n", output);

        // From the model's zip, and from the pipeline's.
        Assert.AreEqual(2, Regex.Count(output, "9 - 4 = 5 .*\n#### 5\n"), output);
    }

    [GeneratedRegex(@"^```csharp\n(.*?)^```$", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex CodeBlock();
}
