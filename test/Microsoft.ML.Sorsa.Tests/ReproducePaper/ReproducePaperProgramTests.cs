using System.Diagnostics;

namespace Microsoft.ML.Sorsa.Tests.ReproducePaper;

/// <summary>The sample as a user runs it, and kills it.</summary>
[TestClass]
[TestCategory("Samples")]
[TestCategory(SlowTestAttribute.Category)]
public sealed class ReproducePaperProgramTests
{
    private static string Configuration => new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    [TestMethod]
    [SlowTest]
    public void AStudyThatIsKilledGoesOnWithTheRunsThatAreDone()
    {
        string sample = Path.Combine(TestData.Root, "samples", "ReproducePaper");
        using (Process build = Start("build", sample, "-c", Configuration, "-v", "q"))
        {
            string text = build.StandardOutput.ReadToEnd();
            build.WaitForExit();
            Assert.AreEqual(0, build.ExitCode, text);
        }

        using var folder = new TemporaryFolder();
        string output = folder.File("out");
        string[] arguments =
        [
            Path.Combine(sample, "bin", Configuration, "net10.0", "ReproducePaper.dll"), "--methods", "sorsa,lora", "--steps", "2",
            "--seeds", "2", "--tuning-seeds", "1", "--validation-rows", "4", "--test-rows", "4", "--choice-rows", "4", "--out", output,
        ];

        // Killed in the midst of the first trainings, when the model before has been asked.
        using (Process killed = Start(arguments))
        {
            string? line;
            do
            {
                line = killed.StandardOutput.ReadLine();
            }
            while (line is not null && !line.StartsWith("learning rates", StringComparison.Ordinal));

            Assert.IsNotNull(line);
            killed.Kill();
            killed.WaitForExit();
        }

        string before = Directory.GetFiles(Path.Combine(output, "runs"), "Base-*.json").Single();
        (byte[] bytes, DateTime written) = (File.ReadAllBytes(before), File.GetLastWriteTimeUtc(before));
        using Process second = Start(arguments);
        string said = second.StandardOutput.ReadToEnd();
        second.WaitForExit();

        Assert.AreEqual(0, second.ExitCode, said);
        Assert.Contains("the model before: 1 runs, 1 of them done before", said);
        CollectionAssert.AreEqual(bytes, File.ReadAllBytes(before));
        Assert.AreEqual(written, File.GetLastWriteTimeUtc(before));
        Assert.IsEmpty(Directory.GetFiles(Path.Combine(output, "runs"), "*.new"));
        string page = File.ReadAllText(Path.Combine(output, "report.html"));
        foreach (string section in new[] { "Table 1", "Learning rates", "What is learnt, and what is forgotten", "Figure 2", "Figure 3",
            "Figure 4", "Figure 5" })
        {
            Assert.Contains(section, page);
        }

        foreach (string table in new[] { "table1", "rates", "runs", "steps", "matrices", "claims" })
        {
            Assert.IsGreaterThan(1, File.ReadAllLines(Path.Combine(output, table + ".csv")).Length, table);
        }
    }

    private static Process Start(params string[] arguments) => Process.Start(new ProcessStartInfo("dotnet", arguments)
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
    })!;
}
