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

    // In the arguments: {rows} and {table} are good rows, {model} the bundled model, {folder} the test's own, {file} a file in it.
    public static IEnumerable<object[]> Cases =>
    [
        // The command line.
        ["", ExitCode.Usage, "No verb is named"],
        ["trian", ExitCode.Usage, "Did you mean train?"],
        ["train {rows} --model-folder {model} --rnak 3", ExitCode.Usage, "Did you mean --rank?"],
        ["train {rows} --model-folder {model} --rank=abc", ExitCode.Usage, "--rank is 'abc'; it must be a whole number"],
        ["train {rows} --model-folder {model} --out {folder}/out --rank", ExitCode.Usage, "--rank has no value"],
        ["train {rows} --model-folder {model} --rank 0", ExitCode.Usage, "--rank is 0; it must be at least 1"],
        ["train {rows} --model-folder {model} --rank 99999999999", ExitCode.Usage, "--rank is '99999999999'"],
        ["train {rows} --model-folder {model} --rank 1000", ExitCode.Usage, "--rank: "],
        ["train {rows} --model-folder {model} --method foo", ExitCode.Usage, "--method is 'foo'; it must be one of Sorsa, Lora"],
        ["train {rows} --model-folder {model} --method 3", ExitCode.Usage, "--method is '3'"],
        ["train {rows} --model-folder {model} --learning-rate NaN", ExitCode.Usage, "--learning-rate is NaN"],
        ["train {rows} --model-folder {model} --generation-top-p 2", ExitCode.Usage, "--generation-top-p is 2"],
        ["train {rows} --model-folder {model} --prompt-template none", ExitCode.Usage, "a text with {prompt} in it"],
        ["train {rows} --model-folder {model} --prompt-template @nowhere", ExitCode.Usage, "nowhere"],
        ["train {rows} --model-folder {model} --map-weights maybe", ExitCode.Usage, "maybe"],
        ["train {rows} --model-folder {model} --method lora --gamma 1", ExitCode.Usage, "--gamma"],
        ["train {rows} --model-folder {model} --evaluation-steps 5", ExitCode.Usage, "--evaluation-steps"],
        ["train {rows} --model-folder {model} --validation-fraction 1.5", ExitCode.Usage, "--validation-fraction is 1.5"],
        ["train {rows} --model-folder {model} --validation-fraction .1 --validation-data {rows}", ExitCode.Usage, "do not go together"],
        ["train {rows}", ExitCode.Usage, "--model-folder is not set"],
        ["train --model-folder {model}", ExitCode.Usage, "No rows are named"],
        ["train {rows} {rows} --model-folder {model}", ExitCode.Usage, "one argument too many"],
        ["train {rows} --model-folder {model} --prompt-column-name Frage", ExitCode.Input, "Frage"],
        ["train {table} --model-folder {model} --prompt-column-name Frage", ExitCode.Usage, "has no column 'Frage'; it has 'Prompt'"],
        ["train {rows} --model-folder {model} --gpu-device-id one", ExitCode.Usage, "one"],
        ["generate {model}", ExitCode.Usage, "There is no prompt"],
        ["generate {model} hi --max-prompt-length 0", ExitCode.Usage, "--max-prompt-length is 0; it must be"],
        ["generate {model} hi --prompt-template @{folder}/latin1.csv", ExitCode.Usage, "--prompt-template is '@"],
        ["generate {model} hi --prompt-template @{file}", ExitCode.Usage, "the file has no {prompt} in it"],
        ["eval {model} {table} --perplexity false", ExitCode.Usage, "no --grader is named"],
        ["generate {model} hi --top-k 3", ExitCode.Usage, "--top-k is 3"],
        ["generate {model} hi --data {rows}", ExitCode.Usage, "do not go together"],
        ["eval {model}", ExitCode.Usage, "Nothing is named to measure on"],
        ["eval {model} --text {file} --grader last-number", ExitCode.Usage, "--grader is about rows"],
        ["eval {model} --text {file} --max-new-tokens 9", ExitCode.Usage, "--max-new-tokens has no effect on --text and --choices. Leave"],
        ["eval {model} --choices {file} --prompt-template alpaca", ExitCode.Usage, "--prompt-template has no effect on --text and"],
        ["eval {model} {rows} --temperature 0.7", ExitCode.Usage, "--temperature has no effect on the perplexity of responses, and no"],
        ["eval {model} {rows} --window-length 9", ExitCode.Usage, "--window-length is about --text"],
        ["eval {model} {rows} --stride 9", ExitCode.Usage, "--stride is about --text"],
        ["eval {model} {rows} --grader best", ExitCode.Usage, "--grader is 'best'; it must be one of ExactMatch"],
        ["export {model} --format onnx --out {folder}/x", ExitCode.Usage, "onnx"],
        ["export {model} --format peft --out {folder}/x", ExitCode.Usage, "No adapter is named"],
        ["export {model} --format hf --gguf-type F16 --out {folder}/x", ExitCode.Usage, "--gguf-type belongs to"],
        ["export {model} --format hf", ExitCode.Usage, "--out"],
        ["export {model} --format hf --temperature 0.7 --out {folder}/x", ExitCode.Usage, "--temperature has no effect on --format hf"],
        ["export {model} --format hf --prompt-column-name P --out {folder}/x", ExitCode.Usage, "--prompt-column-name has no effect"],
        ["export {model} --format gguf --max-new-tokens 9 --out {folder}/x", ExitCode.Usage, "--max-new-tokens has no effect"],
        ["export {model} --format gguf --prompt-template chat --out {folder}/x", ExitCode.Usage, "--prompt-template has no effect"],
        ["export {model} --adapter {folder} --format adapter --compute-type BFloat16 --out {folder}/x", ExitCode.Usage, "--compute-type"],
        ["export {model} --adapter {folder} --format peft --temperature 0.7 --out {folder}/x", ExitCode.Usage, "--temperature"],
        ["inspect {model} --rank 8", ExitCode.Usage, "--rank is about rows"],
        ["inspect {folder}/bad.zip --max-steps 5", ExitCode.Usage, "--max-steps is about rows"],
        ["inspect {folder}/unfinished --model-folder {model}", ExitCode.Usage, "--model-folder is about rows"],
        ["inspect {rows} --max-prompt-length 0", ExitCode.Usage, "--max-prompt-length is about rows in a model's tokens, and no model"],
        ["inspect {table} --prompt-template chat", ExitCode.Usage, "Name one with --model-folder, or leave it out"],
        ["inspect {rows} --prompt-column-name Prompt --rank 8", ExitCode.Usage, "--rank is about rows in a model's tokens"],
        ["inspect {rows} --model-folder {model} --max-prompt-length 0", ExitCode.Usage, "--max-prompt-length is 0; it must be"],
        ["inspect {table} --response-column-name Antwort", ExitCode.Usage, "has no column 'Antwort'; it has 'Prompt', 'Response'"],
        ["inspect {table} --model-folder {model} --prompt-column-name Frage", ExitCode.Usage, "has no column 'Frage'"],
        ["sweep {rows} --model-folder {model} --rank 8", ExitCode.Usage, "--rank is what the sweep varies"],
        ["sweep {rows} --model-folder {model} --vary hue=1,2", ExitCode.Usage, "hue"],
        ["sweep {rows} --model-folder {model} --metric best", ExitCode.Usage, "--metric is 'best'"],
        ["sweep {rows} --model-folder {model} --trials 0", ExitCode.Usage, "--trials is 0"],
        ["sweep {rows} --model-folder {model} --concurrent-trials 0", ExitCode.Usage, "--concurrent-trials is 0"],
        ["sweep {rows} --model-folder {model} --threads-per-trial 0", ExitCode.Usage, "--threads-per-trial is 0"],
        ["sweep {rows} --model-folder {model} --seconds -1", ExitCode.Usage, "--seconds is -1"],
        ["sweep {rows} --model-folder {model} --vary rank=0,4", ExitCode.Usage, "ank is 0; it must be at least 1"],
        ["eval {model} --text {file} --window-length 0", ExitCode.Usage, "--window-length is 0; it must be at least 2"],
        ["eval {folder} --text {file} --stride 0", ExitCode.Usage, "--stride is 0; it must be at least 1"],
        ["eval {folder} --text {file} --stride 9 --window-length 8", ExitCode.Usage, "--stride is 9; it must be at most 8"],
        ["eval {model} {table} --grader best", ExitCode.Usage, "--grader is 'best'; it must be one of ExactMatch"],
        ["eval {model} {table} --text {file} --window-length 9999", ExitCode.Usage, "--window-length is 9999; it must be from 2 to"],
        ["eval {model} {table} --text {folder}/nowhere.txt", ExitCode.Input, "nowhere.txt"],
        ["eval {model} {table} --text {folder}/none.jsonl", ExitCode.Input, "none.jsonl"],
        ["export {folder} --format gguf --pre-tokenizer llama-9 --out {folder}/x", ExitCode.Usage, "llama-9'; it must be one of a.x-4.0"],
        ["generate {folder} hi --gpu-device-id 99", ExitCode.Input, "--gpu-device-id is 99"],
        ["train {rows} --model-folder {model} --gpu-device-id -1", ExitCode.Input, "--gpu-device-id is -1"],
        ["estimate {rows} --model-folder {model} --measured-steps x", ExitCode.Usage, "--measured-steps is 'x'; it must be a whole number"],
        ["train {rows} --model-folder {model} --out=", ExitCode.Usage, "--out has no value"],
        ["estimate {rows} --model-folder {model} --measured-steps -1", ExitCode.Usage, "--measured-steps is -1"],
        ["completion fish", ExitCode.Usage, "fish"],

        // In the words of the command line.
        ["generate {model} hi --output-column-name Prompt", ExitCode.Usage, "--output-column-name is 'Prompt', and --prompt-column-name"],
        ["generate {model} hi --prompt-template chat", ExitCode.Usage, "Pass --prompt-template alpaca or a text with {prompt} in it."],
        ["generate {rows} hi", ExitCode.Input, "Name a file that sorsa export --format zip wrote."],
        ["train {rows} --model-folder {model} --prompt-column-name Seed --output-column-name Seed", ExitCode.Usage,
            "--output-column-name is 'Seed', and --prompt-column-name is the same"],
        ["generate {model} hi --adapter {model}", ExitCode.Input, "It holds a whole model, not an adapter: name it as the model."],
        ["train {rows} --model-folder {folder}/adapter", ExitCode.Input, "name its base; sorsa merge makes one model of the two."],
        ["train {rows} --model-folder {folder}/bad.zip", ExitCode.Input, "sorsa export --format hf makes one of a model zip"],
        ["train {rows} --model-folder {model} --slice-start 3", ExitCode.Usage, "Set --triplets to Slice, or leave --slice-start out."],
        ["train {rows} --model-folder {model} --method full --rank 3", ExitCode.Usage, "it does not belong to --method Full."],
        ["train {rows} --model-folder {model} --early-stopping-patience 3", ExitCode.Usage, "Name rows with --validation-data or"],
        ["sweep {rows} --model-folder {model} --vary gamma=0..1:log", ExitCode.Usage, "or add 0 as a choice."],
        ["sweep {rows} --model-folder {model} --checkpoint-folder x", ExitCode.Usage, "Leave it out; the same command goes on"],
        ["sweep {rows} --model-folder {model} --vary checkpoint-folder=1,2", ExitCode.Usage, "--vary names 'checkpoint-folder'"],
        ["eval {model} {table} --text {file} --stride 9999", ExitCode.Usage, "the --window-length. A larger one"],
        ["eval {model} {table} --choices {folder}/long.jsonl", ExitCode.Usage, "--choices: question 1"],
        ["train {folder}/table.jsonl --model-folder {model}", ExitCode.Input, "Call the file .csv or .tsv"],

        // What is named.
        ["train {folder}/nowhere.jsonl --model-folder {model}", ExitCode.Input, "nowhere.jsonl"],
        ["train {rows} --model-folder {folder}/nowhere", ExitCode.Input, "nowhere"],
        ["train {rows} --model-folder {folder}", ExitCode.Input, "config.json"],
        ["train {folder}/empty --model-folder {model}", ExitCode.Input, "has no file with rows"],
        ["train {folder}/rows.parquet --model-folder {model}", ExitCode.Input, "JSON lines"],
        ["train {folder}/bad.jsonl --model-folder {model}", ExitCode.Input, "bad.jsonl"],
        ["train {folder}/bad.csv --model-folder {model}", ExitCode.Input, "3 cells in line 3, and 2 columns"],
        ["train {folder}/open.csv --model-folder {model}", ExitCode.Input, "line 2 that is never closed"],
        ["train {folder}/latin1.csv --model-folder {model}", ExitCode.Input, "UTF-8"],
        ["train --config {folder}/nowhere.json", ExitCode.Input, "nowhere.json"],
        ["train --config {file}", ExitCode.Input, "is no JSON"],
        ["train --config {folder}/list.json", ExitCode.Input, "is no JSON object"],
        ["train --config {folder}/unknown.json", ExitCode.Usage, "Did you mean 'Rank'?"],
        ["train --config {folder}/wrong.json", ExitCode.Usage, "--rank is 'two'"],
        ["train --config {folder}/twice.json", ExitCode.Usage, "is there twice"],
        ["train --config {folder}/asked.json", ExitCode.Usage, "asked.json': --ask is null; it must be a text or a list of texts"],
        ["train --config {folder}/huge.json", ExitCode.Usage, "--learning-rate is "],
        ["resume {folder}", ExitCode.Input, "there is no run.json"],
        ["resume {folder}/nowhere", ExitCode.Input, "There is no folder"],
        ["generate {folder}/adapter hi", ExitCode.Input, "is an adapter. Name its base"],
        ["eval {model} {folder}/none.jsonl", ExitCode.Input, "none.jsonl' has no rows"],
        ["train {folder}/none.jsonl --model-folder {model}", ExitCode.Input, "none.jsonl' has no rows"],
        ["inspect {folder}/none.jsonl", ExitCode.Input, "none.jsonl' has no rows"],
        ["inspect {folder}/zip", ExitCode.Input, "is no zip"],
        ["sweep {folder}/late.jsonl --model-folder {model} --out {folder}/x", ExitCode.Input, "line 3"],
        ["sweep {rows} --model-folder {model} --target-modules foo --out {folder}/x", ExitCode.Usage, "--target-modules"],
        ["sweep {rows} --model-folder {model} --vary rank=4,1000 --out {folder}/x", ExitCode.Usage, "--rank"],
        ["generate {folder} hi", ExitCode.Input, "config.json"],
        ["generate {folder}/unfinished hi", ExitCode.Input, "sorsa resume"],
        ["generate {file} hi", ExitCode.Input, ""],
        ["generate {model} --data {folder}/none.csv", ExitCode.Input, "none.csv' has no rows"],
        ["generate {model} --data {folder}/none.jsonl", ExitCode.Input, "none.jsonl' has no rows"],
        ["generate {model} hi --adapter {folder}", ExitCode.Input, "adapter.json"],
        ["merge {model} {folder} --out {folder}/x", ExitCode.Input, "adapter.json"],
        ["analyze {model} {folder}/nowhere", ExitCode.Input, "nowhere"],
        ["inspect {folder}/nowhere", ExitCode.Input, "There is no file or folder"],
        ["inspect {folder}/empty", ExitCode.Input, "has no file with rows"],
        ["inspect {folder}/bad.zip", ExitCode.Input, "is no zip"],
        ["inspect {folder}/bad.safetensors", ExitCode.Input, "is no safetensors file"],
        ["inspect {folder}/bad.gguf", ExitCode.Input, "is no GGUF file"],

        // What is to be written: seen before anything is trained.
        ["train {rows} --model-folder {model} --out {file}/run", ExitCode.Output, "cannot be written"],
        ["train {rows} --model-folder {model} --out {file}", ExitCode.Output, "is a file"],
        ["train {rows} --model-folder {model} --out {folder}", ExitCode.Output, "is not empty"],
        ["train {rows} --model-folder {model} --checkpoint-folder {file}/c --out {folder}/x", ExitCode.Output, "--checkpoint-folder"],
        ["train {rows} --model-folder {model} --tensor-board-folder {file}/t --out {folder}/x", ExitCode.Output, "--tensor-board-folder"],
        ["train {rows} --model-folder {model} --out {folder}/unfinished", ExitCode.Output, "sorsa resume"],
        ["generate {model} hi --out {file}/replies.jsonl", ExitCode.Output, "cannot be written"],
        ["generate {model} hi --out {folder}", ExitCode.Output, "is a folder"],
        ["eval {model} {rows} --report {file}/x.html", ExitCode.Output, "cannot be written"],
        ["eval {model} {rows} --report {folder}/no/x.html", ExitCode.Output, "there is no folder"],
        ["generate {model} hi --out {folder}/no/x.jsonl", ExitCode.Output, "there is no folder"],

        // What would be in the place of another, or of what is read.
        ["eval {model} {table} --report {folder}/x --csv {folder}/empty/../x", ExitCode.Output, "--report and --csv"],
        ["eval {model} {table} --csv {table}", ExitCode.Output, "--csv is "],
        ["eval {model} --text {file} {table} --csv {file}", ExitCode.Output, "--csv is "],
        ["eval {model} {table} --report {model}/config.json", ExitCode.Output, "--report is "],
        ["analyze {model} {model} --report {folder}/x --csv {folder}/x", ExitCode.Output, "--report and --csv"],
        ["analyze {model} {model} --csv {model}/model.safetensors", ExitCode.Output, "--csv is "],
        ["generate {model} --data {rows} --out {rows}", ExitCode.Output, "--out is "],
        ["generate {model} hi --prompt-template @{folder}/template.txt --out {folder}/template.txt", ExitCode.Output, "--out is "],
        ["export {folder}/bad.zip --format zip --out {folder}/bad.zip", ExitCode.Output, "--out is "],
        ["train {rows} --model-folder {model} --checkpoint-folder {folder}/c --tensor-board-folder {folder}/c", ExitCode.Output, "place"],
        ["train {rows} --model-folder {model} --checkpoint-folder {folder}/x --out {folder}/x", ExitCode.Output, "--checkpoint-folder"],
        ["train {rows} --model-folder {model} --checkpoint-folder {folder}/x/model --out {folder}/x", ExitCode.Output, "place"],
        ["export {model} --format hf --out {folder}", ExitCode.Output, "is not empty"],
        ["export {model} --format zip --out {file}/x.zip", ExitCode.Output, "cannot be written"],
        ["merge {model} {folder}/nowhere --out {folder}", ExitCode.Output, "is not empty"],
        ["sweep {rows} --model-folder {model} --out {folder}", ExitCode.Output, "is not empty"],
    ];

    [TestMethod]
    [DynamicData(nameof(Cases))]
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
