using System.Diagnostics;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>A shell completes verbs, options and values.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class CompletionTests
{
    [TestMethod]
    [DataRow("sorsa tr", "train")]
    [DataRow("sorsa train --adam-b", "--adam-beta1")]
    [DataRow("sorsa train --method Ga", "GaLore")]
    [DataRow("sorsa eval m --grader Gsm8kS", "Gsm8kStrict")]
    [DataRow("sorsa export m --format pe", "peft")]
    public void TheDirectiveSuggests(string line, string expected)
    {
        string[] suggestions = SorsaCommand.Run($"[suggest:{line.Length}]", line).Succeeds().Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

        Assert.Contains(expected, suggestions);
    }

    /// <summary>The script, as bash runs it when somebody presses the key.</summary>
    [TestMethod]
    public void BashCompletes()
    {
        if (!File.Exists("/bin/bash"))
        {
            Assert.Inconclusive("There is no bash on this machine.");
        }

        using var folder = new TemporaryFolder();
        string script = folder.File("complete.sh");
        File.WriteAllText(script, $"""
            sorsa() {"{"} dotnet '{Path.Combine(AppContext.BaseDirectory, "sorsa.dll")}' "$@"; {"}"}
            {SorsaCommand.Run("completion", "bash").Succeeds().Output}
            COMP_LINE='sorsa train --warmup'; COMP_POINT=20; COMP_WORDS=(sorsa train --warmup); COMP_CWORD=2
            _sorsa
            printf '%s\n' "${"{"}COMPREPLY[@]{"}"}"
            complete -p sorsa
            """);

        using Process bash = Process.Start(new ProcessStartInfo("/bin/bash", [script]) { RedirectStandardOutput = true })!;
        string[] said = bash.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        bash.WaitForExit();

        Assert.AreEqual(0, bash.ExitCode);
        Assert.AreEqual("--warmup-ratio", said[0]);
        Assert.Contains("_sorsa", said[1]);
    }
}
