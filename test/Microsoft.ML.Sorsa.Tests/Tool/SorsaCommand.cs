using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Tool;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>What a command line did.</summary>
internal sealed record CommandResult(int ExitCode, string Output, string Error)
{
    /// <summary>The standard output, as one JSON object and nothing else.</summary>
    public JsonElement Json
    {
        get
        {
            Assert.HasCount(1, Output.TrimEnd('\n').Split('\n'));
            using JsonDocument document = JsonDocument.Parse(Output);
            Assert.AreEqual(JsonValueKind.Object, document.RootElement.ValueKind);
            return document.RootElement.Clone();
        }
    }

    public CommandResult Succeeds()
    {
        Assert.AreEqual(0, ExitCode, Error);
        return this;
    }
}

/// <summary>The command sorsa, in this process or one of its own.</summary>
internal static class SorsaCommand
{
    /// <summary>The rows of the tiny task, as JSON lines.</summary>
    public static string WriteRows(TemporaryFolder folder, string name = "rows.jsonl")
    {
        string path = folder.File(name);
        File.WriteAllLines(path, TinyTask.Rows.Select(row => JsonSerializer.Serialize(row)));
        return path;
    }

    /// <summary>Options of a training that takes a moment.</summary>
    public static string[] Training =>
    [
        "--model-folder", TestData.TinyLlama, "--rank", "4", "--target-modules", "q_proj,down_proj", "--learning-rate", "5e-3",
        "--batch-size", "4", "--generation-max-new-tokens", "12",
    ];

    public static CommandResult Run(params IEnumerable<string> arguments) => RunWith("", arguments);

    public static CommandResult RunWith(string input, params IEnumerable<string> arguments)
    {
        using StringWriter output = new(), error = new();
        int exitCode = SorsaTool.Run([.. arguments], new StringReader(input), output, error);
        return new CommandResult(exitCode, output.ToString(), error.ToString());
    }

    /// <summary>
    /// The command in a process of its own, with signals as a terminal's processes have them, and one thread, as other tests have.
    /// </summary>
    public static Process Start(params IEnumerable<string> arguments)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "sorsa.dll");
        string[] all = ["--default-signal=INT", "OMP_NUM_THREADS=1", "dotnet", program, .. arguments];
        return Process.Start(new ProcessStartInfo("env", all)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        })!;
    }
}
