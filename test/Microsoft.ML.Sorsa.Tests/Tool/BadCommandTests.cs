using System.CommandLine;
using System.CommandLine.Help;
using System.Reflection;
using System.Text.Json;
using Microsoft.ML.Sorsa.Tests.Files;
using Microsoft.ML.Sorsa.Tool;
using Microsoft.ML.Sorsa.Tool.Options;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>What is wrong is said in one line, with an exit code, before anything is written.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class BadCommandTests
{
    private static readonly Type[] s_numbers = [typeof(int), typeof(int?), typeof(double), typeof(double?)];

    [TestMethod]
    [DynamicData(nameof(BadCommands.Cases), typeof(BadCommands))]
    public void TheErrorIsOneLineWithAnExitCode(string command, int exitCode, string expected)
    {
        using var folder = new TemporaryFolder();

        // Where nothing else is said, nothing must be written either.
        bool trains = command.StartsWith("train ", StringComparison.Ordinal) && !command.Contains("--out", StringComparison.Ordinal);
        command += trains ? " --out {folder}/out" : "";
        string[] arguments = [.. command.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => Filled(word, folder))];
        string[] before = Write(folder);

        CommandResult result = SorsaCommand.Run(arguments);
        CommandResult json = SorsaCommand.Run([.. arguments, "--json"]);

        string[] lines = [.. result.Error.TrimEnd('\n').Split('\n').Where(line => !line.StartsWith("warning: ", StringComparison.Ordinal))];
        Assert.AreEqual(exitCode, result.ExitCode, result.Error);
        Assert.AreEqual("", result.Output);
        Assert.HasCount(1, lines, result.Error);
        Assert.StartsWith("sorsa: ", lines[0]);
        Assert.Contains(expected, lines[0]);
        Assert.IsFalse(lines[0].Contains("(Parameter", StringComparison.Ordinal), lines[0]);
        Assert.AreEqual("", WordingTests.WordsOfPrograms(lines[0]), lines[0]);
        Assert.AreEqual(lines[0], $"sorsa: {json.Json.GetProperty("error").GetString()}");
        Assert.AreEqual(exitCode, json.Json.GetProperty("exitCode").GetInt32());
        CollectionAssert.AreEqual(before, Listing(folder));
    }

    /// <summary>Every option that the parser reads as a number, of every verb.</summary>
    [TestMethod]
    public void AWordThatIsNoNumberIsToldWithoutTypes()
    {
        var told = new HashSet<string>();
        var numbers = new HashSet<string>();
        RootCommand root = SorsaTool.Create(new Shell(TextReader.Null));
        foreach ((System.CommandLine.Command verb, Option option) in root.Subcommands
            .SelectMany(verb => verb.Options.Concat(root.Options), (verb, option) => (verb, option))
            .Where(one => one.option is not (HelpOption or VersionOption)))
        {
            IEnumerable<string> needed = Enumerable.Repeat("x", verb.Arguments.Sum(argument => argument.Arity.MinimumNumberOfValues));
            IEnumerable<string> required =
                verb.Options.Where(other => other.Required && other != option).Select(other => $"{other.Name}=x");
            CommandResult result = SorsaCommand.Run([verb.Name, .. needed, .. required, $"{option.Name}=no number"]);

            Assert.DoesNotContain("System.", result.Error, $"{verb.Name} {option.Name}");
            if (s_numbers.Contains(option.ValueType))
            {
                numbers.Add(option.Name);
            }

            if (result.Error.Contains($"sorsa: {option.Name} is 'no number'; it must be a", StringComparison.Ordinal))
            {
                told.Add(option.Name);
            }
        }

        Assert.IsGreaterThan(5, numbers.Count);
        Assert.IsEmpty(numbers.Except(told));
    }

    /// <summary>Of what went wrong in training, the run stays: it may say what to change.</summary>
    [TestMethod]
    public void ATrainingThatDivergesHasAnExitCode()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), run = folder.File("run");

        CommandResult result = SorsaCommand.Run(
            "train", rows, "--model-folder", TestData.TinyLlama, "--batch-size", "4", "--number-of-epochs", "9", "--learning-rate", "1e30",
            "--out", run);

        Assert.AreEqual(ExitCode.Diverged, result.ExitCode, result.Error);
        Assert.Contains("Lower --learning-rate", result.Error);
        Assert.IsTrue(File.Exists(Path.Combine(run, "run.json")));
    }

    /// <summary>Said once, with a remedy, and without names of temporary files.</summary>
    [TestMethod]
    public void AFullDiskIsSaidOnce()
    {
        using var folder = new TemporaryFolder();
        string rows = SorsaCommand.WriteRows(folder), disk = folder.File("disk");
        using var mount = MountPoint.Memory(disk, "size=8k");
        File.WriteAllBytes(Path.Combine(disk, "fill"), new byte[8192]);

        CommandResult zip = SorsaCommand.Run("export", TestData.TinyLlama, "--format", "zip", "--out", Path.Combine(disk, "x.zip"));
        CommandResult replies = SorsaCommand.Run(
            "generate", TestData.TinyLlama, "--data", rows, "--max-new-tokens", "64", "--prompt-template",
            $"{new string('x', 99)}{{prompt}}", "--out", Path.Combine(disk, "replies.jsonl"));

        Assert.AreEqual(ExitCode.Output, zip.ExitCode, zip.Error);
        Assert.HasCount(2, zip.Error.Split("cannot be written"), zip.Error);
        Assert.AreEqual(ExitCode.Output, replies.ExitCode, replies.Error);
        Assert.HasCount(2, replies.Error.Split("cannot be written"), replies.Error);
        Assert.IsFalse(replies.Error.Contains(".tmp"), replies.Error);
        Assert.AreEqual("fill", string.Join(' ', Directory.GetFileSystemEntries(disk).Select(Path.GetFileName)));
    }

    /// <summary>What the library throws, whether it comes as it is or in what ML.NET and reflection put around it.</summary>
    [TestMethod]
    public void ThrownErrorsHaveTheirExitCodes()
    {
        (Exception Thrown, int ExitCode)[] errors =
        [
            (new InsufficientMemoryException("Set MemoryCheck to false."), ExitCode.Memory),
            (new ArithmeticException(), ExitCode.Diverged), (new UnauthorizedAccessException(), ExitCode.Input),
            (new IOException("TensorBoardFolder '/x' cannot be written."), ExitCode.Output),
            (new InvalidDataException(), ExitCode.Input), (new NotSupportedException(), ExitCode.Input),
            (new TargetInvocationException(new ArgumentException("x")), ExitCode.Usage), (new TimeoutException(), ExitCode.Failure),
        ];

        foreach ((Exception thrown, int exitCode) in errors)
        {
            Assert.AreEqual(exitCode, Failure.Of(thrown, Wording.OfTrainer).ExitCode, thrown.GetType().Name);
        }

        Assert.AreEqual("Set --memory-check to false.", Failure.Of(errors[0].Thrown, Wording.OfTrainer).Message);
        Assert.AreEqual("two lines", Failure.Of(new IOException("two\n  lines"), Wording.OfTrainer).Message);
        Assert.AreEqual("--rank is 0.", Failure.Of(new ArgumentOutOfRangeException("Rank", 0, "Rank is 0."), Wording.OfTrainer).Message);
    }

    [TestMethod]
    public void HelpAndVersionAreNoErrors()
    {
        Assert.Contains("estimate", SorsaCommand.Run("--help").Succeeds().Output);
        Assert.Contains(".", SorsaCommand.Run("--version").Succeeds().Output);
    }

    /// <summary>A prompt may look like an option, behind two dashes, and begin with @.</summary>
    [TestMethod]
    public void APromptMayLookLikeAnything()
    {
        JsonElement json = SorsaCommand.Run(
            "generate", TestData.TinyLlama, "--max-new-tokens", "2", "--json", "--", "--what", "@who", "-1").Succeeds().Json;

        string?[] prompts = [.. json.GetProperty("replies").EnumerateArray().Select(reply => reply.GetProperty("prompt").GetString())];
        Assert.AreEqual("--what @who -1", string.Join(' ', prompts));
    }

    /// <summary>The numbers of the page, one by one.</summary>
    [TestMethod]
    public void ExitCodesAreThoseOfThePage()
    {
        string page = File.ReadAllText(Path.Combine(TestData.Root, "docs", "command-line.md"));

        foreach (int code in (int[])[0, 1, 2, 3, 4, 5, 6, 130, 143])
        {
            Assert.Contains($"| {code} |", page);
        }
    }

    private static string Filled(string word, TemporaryFolder folder) => word
        .Replace("{rows}", folder.File("rows.jsonl"), StringComparison.Ordinal)
        .Replace("{table}", folder.File("rows.csv"), StringComparison.Ordinal)
        .Replace("{model}", TestData.TinyLlama, StringComparison.Ordinal)
        .Replace("{folder}", folder.Path, StringComparison.Ordinal)
        .Replace("{file}", folder.File("file.txt"), StringComparison.Ordinal);

    /// <summary>Good and bad files; their names.</summary>
    private static string[] Write(TemporaryFolder folder)
    {
        SorsaCommand.WriteRows(folder);
        (string Name, string Text)[] files =
        [
            ("rows.csv", "Prompt,Response\na,b\n"), ("file.txt", "some words"), ("template.txt", "{prompt}"),
            ("none.jsonl", ""), ("table.jsonl", "Prompt,Response\na,b\n"), ("none.csv", "Prompt,Response\n"),
            ("long.jsonl", $$"""{"question": "{{new string('x', 9999)}}", "choices": ["a", "b"], "answer": 0}"""),
            ("rows.parquet", "PAR1"), ("bad.jsonl", "{\"Prompt\": 1\n"),
            ("bad.csv", "Prompt,Response\na,b\nc,d,e\n"), ("open.csv", "Prompt,Response\n\"a,b\n"), ("list.json", "[1]"),
            ("unknown.json", "{\"Rnak\": 1}"), ("wrong.json", "{\"Rank\": \"two\"}"), ("twice.json", "{\"Rank\": 1, \"rank\": 2}"),
            ("asked.json", "{\"Ask\": null}"),
            ("huge.json", $$"""{"Data": {{Quoted("rows.jsonl")}}, "ModelFolder": {{Quoted(null)}}, "LearningRate": 1e999}"""),
            ("zip", "PK\x03\x04 and no more"), ("adapter/adapter.json", "{}"),
            ("late.jsonl", "{\"Prompt\": \"a\", \"Response\": \"b\"}\n\n{\"Prompt\": \"a\", "),
            ("bad.zip", "no zip"), ("bad.safetensors", "no tensors"), ("bad.gguf", "no model"),
            ("unfinished/run.json", "{\"Data\": \"rows.jsonl\"}"),
        ];
        Directory.CreateDirectory(folder.File("empty"));
        Directory.CreateDirectory(folder.File("unfinished"));
        Directory.CreateDirectory(folder.File("adapter"));
        foreach ((string name, string text) in files)
        {
            File.WriteAllText(folder.File(name), text);
        }

        string Quoted(string? name) => JsonSerializer.Serialize(name is null ? TestData.TinyLlama : folder.File(name));

        File.WriteAllBytes(folder.File("latin1.csv"), [.. "Prompt,Response\na,"u8, 0xE4, (byte)'\n']);
        return Listing(folder);
    }

    private static string[] Listing(TemporaryFolder folder) =>
        [.. Directory.EnumerateFileSystemEntries(folder.Path, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
}
