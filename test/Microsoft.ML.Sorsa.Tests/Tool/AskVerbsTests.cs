using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Tool;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>Verbs that ask a model or hand it on, over one training: what comes out is what the library gives.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class AskVerbsTests
{
    private const string Question = "Tom has 3 apples. He buys 5 more. How many?";

    private static readonly TemporaryFolder s_folder = new();
    private static readonly string s_rows = SorsaCommand.WriteRows(s_folder);
    private static readonly string s_run = s_folder.File("run");

    private static string Model => Path.Combine(s_run, "model");

    private static string Adapter => Path.Combine(s_run, "adapter");

    [ClassInitialize]
    public static void Train(TestContext context) =>
        SorsaCommand.Run(["train", s_rows, .. SorsaCommand.Training, "--max-steps", "6", "--number-of-epochs", "3", "--out", s_run])
            .Succeeds();

    [ClassCleanup]
    public static void Remove() => s_folder.Dispose();

    [TestMethod]
    public void AnAnswerIsTheLibrarys()
    {
        using SorsaTransformer model = Sorsa().LoadModel(Model, generation: new GenerationOptions { MaxNewTokens = 9 });

        // The run says 12 tokens, and the command line comes before it.
        CommandResult one = SorsaCommand.Run("generate", s_run, Question, "--max-new-tokens", "9").Succeeds();
        JsonElement two = SorsaCommand.Run("generate", s_run, Question, "1 + 1", "--max-new-tokens", "9", "--json").Succeeds().Json;
        CommandResult piped = SorsaCommand.RunWith(Question + "\n", "generate", s_run, "--max-new-tokens", "9").Succeeds();

        Assert.AreEqual(model.Generate(Question) + Environment.NewLine, one.Output);
        Assert.AreEqual(one.Output, piped.Output);
        Assert.AreEqual("", one.Error);
        string?[] replies = [.. two.GetProperty("replies").EnumerateArray().Select(reply => reply.GetProperty("reply").GetString())];
        CollectionAssert.AreEqual(new[] { model.Generate(Question), model.Generate("1 + 1") }, replies);
    }

    [TestMethod]
    public void ARunBringsItsTemplateAndLengths()
    {
        using SorsaTransformer model = Sorsa().LoadModel(Model, generation: new GenerationOptions { MaxNewTokens = 12 });

        Assert.AreEqual(model.Generate(Question) + Environment.NewLine, SorsaCommand.Run("generate", s_run, Question).Succeeds().Output);
    }

    /// <summary>Rows of a file are answered as single prompts are, in their order, by a folder and by a zip; to a file or not.</summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(5)]
    public void RowsAreAnswered(int batchSize)
    {
        using SorsaTransformer model = Sorsa().LoadModel(
            Model, generation: new GenerationOptions { MaxNewTokens = 12, BatchSize = batchSize });
        string replies = s_folder.File("replies.jsonl"), ofZip = s_folder.File("zip.jsonl"), zip = s_folder.File($"rows{batchSize}.zip");
        model.Save(zip);

        CommandResult file = SorsaCommand.Run(
            "generate", s_run, "--data", s_rows, "--batch-size", $"{batchSize}", "--out", replies).Succeeds();
        CommandResult lines = SorsaCommand.Run("generate", s_run, "--data", s_rows, "--batch-size", $"{batchSize}").Succeeds();
        SorsaCommand.Run("generate", zip, "--data", s_rows, "--out", ofZip).Succeeds();

        string[] expected = [.. TinyTask.Rows.Select(row => model.Generate(row.Prompt))];
        JsonElement[] rows = [.. File.ReadLines(replies).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
        CollectionAssert.AreEqual(
            TinyTask.Rows.Select(row => row.Prompt).ToArray(), rows.Select(row => row.GetProperty("prompt").GetString()).ToArray());
        CollectionAssert.AreEqual(expected, rows.Select(row => row.GetProperty("reply").GetString()).ToArray());
        Assert.AreEqual(File.ReadAllText(replies), File.ReadAllText(ofZip));
        Assert.AreEqual(string.Concat(expected.Select(reply => reply + Environment.NewLine)), lines.Output);
        Assert.AreEqual($"12 replies: {replies}{Environment.NewLine}", file.Output);
    }

    /// <summary>The first replies are out before the last are written.</summary>
    [TestMethod]
    public void RepliesComeAsTheyAreFinished()
    {
        string rows = s_folder.File("many.jsonl");
        File.WriteAllLines(rows, Enumerable.Range(0, 400).Select(i => JsonSerializer.Serialize(new { Prompt = $"{i} + 1" })));
        using Process process = SorsaCommand.Start("generate", s_run, "--data", rows, "--max-new-tokens", "64");

        Assert.IsNotNull(process.StandardOutput.ReadLine());
        Assert.IsFalse(process.HasExited);

        process.Kill();
        process.WaitForExit();
    }

    /// <summary>The base with the adapter, the merged model, and every form that goes out and is read again answer alike.</summary>
    [TestMethod]
    public void WhatIsExportedAnswersAlike()
    {
        string expected = SorsaCommand.Run("generate", s_run, Question).Succeeds().Output;
        string zip = s_folder.File("model.zip"), peft = s_folder.File("peft"), own = s_folder.File("own"), merged = s_folder.File("merged");

        SorsaCommand.Run("export", s_run, "--format", "zip", "--out", zip).Succeeds();
        SorsaCommand.Run("export", s_run, "--format", "hf", "--out", s_folder.File("hf")).Succeeds();
        SorsaCommand.Run("export", s_run, "--format", "peft", "--out", peft).Succeeds();
        SorsaCommand.Run("export", TestData.TinyLlama, "--adapter", Adapter, "--format", "adapter", "--out", own).Succeeds();
        SorsaCommand.Run("merge", TestData.TinyLlama, Adapter, "--out", merged).Succeeds();

        string[] brief = ["--max-new-tokens", "12"];
        Assert.AreEqual(expected, SorsaCommand.Run("generate", zip, Question).Succeeds().Output);
        Assert.AreEqual(expected, SorsaCommand.Run(["generate", s_folder.File("hf"), Question, .. brief]).Succeeds().Output);
        Assert.AreEqual(expected, SorsaCommand.Run(["generate", merged, Question, .. brief]).Succeeds().Output);
        foreach (string adapter in (string[])[Adapter, peft, own])
        {
            Assert.AreEqual(
                expected, SorsaCommand.Run(["generate", TestData.TinyLlama, Question, "--adapter", adapter, .. brief]).Succeeds().Output);
        }

        CollectionAssert.AreEqual(
            File.ReadAllBytes(Path.Combine(Model, "model.safetensors")), File.ReadAllBytes(Path.Combine(merged, "model.safetensors")));
        CollectionAssert.AreEqual(
            File.ReadAllBytes(Path.Combine(Adapter, "adapter.safetensors")), File.ReadAllBytes(Path.Combine(own, "adapter.safetensors")));
        using JsonDocument config = JsonDocument.Parse(File.ReadAllText(Path.Combine(peft, "adapter_config.json")));

        // SORSA as an ordinary LoRA has twice the rank; the base goes by its name.
        Assert.AreEqual(8, config.RootElement.GetProperty("r").GetInt32());
        Assert.AreEqual("tiny-llama-math", config.RootElement.GetProperty("base_model_name_or_path").GetString());
    }

    [TestMethod]
    [DataRow("F32", 4.0)]
    [DataRow("q8-0", 1.0625)]
    public void GgufHoldsTheModel(string type, double bytesOfAWeight)
    {
        string gguf = s_folder.File($"{type}.gguf"), adapter = s_folder.File($"{type}-adapter.gguf");

        SorsaCommand.Run("export", s_run, "--format", "gguf", "--gguf-type", type, "--out", gguf).Succeeds();
        SorsaCommand.Run("export", s_run, "--format", "gguf-adapter", "--out", adapter).Succeeds();
        JsonElement json = SorsaCommand.Run("inspect", gguf, "--json").Succeeds().Json;

        Assert.AreEqual("llama", json.GetProperty("general.architecture").GetString());
        Assert.AreEqual(1_238_656, json.GetProperty("weights").GetProperty("parameters").GetInt64());
        Assert.IsGreaterThanOrEqualTo(1_230_000 * bytesOfAWeight, new FileInfo(gguf).Length);
        Assert.IsLessThan(1_300_000 * bytesOfAWeight, new FileInfo(gguf).Length);
        Assert.AreEqual("adapter", SorsaCommand.Run("inspect", adapter, "--json").Succeeds().Json.GetProperty("general.type").GetString());
    }

    /// <summary>Each turn is answered as the library's client answers the conversation so far.</summary>
    [TestMethod]
    public async Task AConversationHasTurns()
    {
        const string Second = "Anna has 4 pens. She buys 2 more. How many?";
        string[] chat = ["chat", s_run, "--system", "Count."];

        CommandResult spoken = SorsaCommand.RunWith($"{Question}\n{Second}\n", chat).Succeeds();
        JsonElement json = SorsaCommand.RunWith($"{Second}\n/reset\n{Question}\n{Second}\n/exit\nnot asked\n", [.. chat, "--json"])
            .Succeeds().Json;

        using SorsaTransformer model = Sorsa().LoadModel(
            Model, promptTemplate: PromptTemplate.Alpaca, generation: new GenerationOptions { MaxNewTokens = 12 }, maxPromptLength: 512);
        using IChatClient client = model.AsChatClient();
        List<ChatMessage> conversation = [new(ChatRole.System, "Count."), new(ChatRole.User, Question)];
        string first = (await client.GetResponseAsync(conversation)).Text;
        conversation.AddRange([new(ChatRole.Assistant, first), new(ChatRole.User, Second)]);
        string second = (await client.GetResponseAsync(conversation)).Text;
        (string?, string?)[] messages = [.. json.GetProperty("messages").EnumerateArray()
            .Select(message => (message.GetProperty("role").GetString(), message.GetProperty("text").GetString()))];
        CollectionAssert.AreEqual(
            new (string?, string?)[]
            {
                ("system", "Count."), ("user", Question), ("assistant", first), ("user", Second), ("assistant", second),
            },
            messages);
        Assert.AreEqual($"{first}{Environment.NewLine}{second}{Environment.NewLine}", spoken.Output);
    }

    /// <summary>Ctrl+C is how people leave; SIGTERM is somebody else's, and has an exit code.</summary>
    [TestMethod]
    [DataRow("INT", 0)]
    [DataRow("TERM", ExitCode.Terminated)]
    public void AConversationEndsBySignals(string signal, int exitCode)
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Inconclusive("The test sends signals with kill.");
        }

        using Process process = SorsaCommand.Start("chat", s_run);
        process.StandardInput.WriteLine(Question);
        process.StandardInput.Flush();
        Assert.IsNotNull(process.StandardOutput.ReadLine());

        using Process kill = Process.Start("kill", [$"-{signal}", $"{process.Id}"]);
        process.WaitForExit();

        Assert.AreEqual(exitCode, process.ExitCode, process.StandardError.ReadToEnd());
    }

    /// <summary>What has no room is said and left out, and what follows is answered as if it had not been written.</summary>
    [TestMethod]
    public void AConversationOutlivesAMessageThatIsTooLong()
    {
        string tooLong = string.Join(' ', Enumerable.Repeat("apples", 5000));

        CommandResult result = SorsaCommand.RunWith($"{tooLong}\n{Question}\n", "chat", s_run, "--json").Succeeds();
        CommandResult alone = SorsaCommand.RunWith($"{Question}\n", "chat", s_run, "--json").Succeeds();

        Assert.AreEqual(alone.Json.GetProperty("messages").GetRawText(), result.Json.GetProperty("messages").GetRawText());
        Assert.Contains("positions", result.Json.GetProperty("warnings")[0].GetString()!);
        Assert.Contains("Shorten the message, or use a model with more positions. This message was left out; /reset", result.Error);
    }

    [TestMethod]
    public void EvaluationIsTheLibrarys()
    {
        string text = s_folder.File("text.txt"), report = s_folder.File("evaluation.html"), csv = s_folder.File("evaluation.csv");
        File.WriteAllText(text, string.Join(' ', TinyTask.Rows.Select(row => $"{row.Prompt} {row.Response}")));

        JsonElement json = SorsaCommand.Run(
            "eval", s_run, s_rows, "--grader", "last-number", "--text", text, "--window-length", "64", "--report", report, "--csv", csv,
            "--json").Succeeds().Json;

        using SorsaTransformer model = Sorsa().LoadModel(
            Model, generation: new GenerationOptions { MaxNewTokens = 12 }, maxPromptLength: 512);
        SorsaEvaluation expected = Sorsa().Evaluate(
            model, new MLContext().Data.LoadFromJsonLines(s_rows),
            new EvaluationOptions { Grader = AnswerGraders.LastNumber });
        JsonElement rows = json.GetProperty("rows");
        Assert.AreEqual(expected.Correct, rows.GetProperty("correct").GetInt32());
        Assert.AreEqual(TinyTask.Rows.Length, rows.GetProperty("graded").GetInt32());
        Assert.AreEqual(expected.Loss!.Value, rows.GetProperty("loss").GetDouble(), 1e-12);
        Assert.AreEqual(
            Sorsa().EvaluateText(model, text, 64).Perplexity, json.GetProperty("text").GetProperty("perplexity").GetDouble(), 1e-9);
        Assert.IsTrue(File.Exists(report));
        Assert.HasCount(TinyTask.Rows.Length + 1, File.ReadAllLines(csv));
    }

    /// <summary>Rows, which come first, have a line when they are answered: there is none where a text or a question is refused.</summary>
    [TestMethod]
    public void NothingIsAnsweredWhereSomethingDoesNotFit()
    {
        string text = s_folder.File("words.txt"), blank = s_folder.File("blank.txt"), questions = s_folder.File("long.jsonl");
        File.WriteAllText(text, "Two and two make four.");
        File.WriteAllText(blank, "\uFEFF");
        File.WriteAllText(questions, $$"""{"question": "{{new string('x', 9999)}}", "choices": ["a", "b"], "answer": 0}""");
        string[] rows = ["eval", s_run, s_rows, "--grader", "last-number"];

        CommandResult withText = SorsaCommand.Run([.. rows, "--text", blank]);
        CommandResult withQuestions = SorsaCommand.Run([.. rows, "--text", text, "--choices", questions]);

        Assert.AreEqual((ExitCode.Input, ""), (withText.ExitCode, withText.Output));
        Assert.Contains("a perplexity needs at least 2", withText.Error);
        Assert.AreEqual((ExitCode.Usage, ""), (withQuestions.ExitCode, withQuestions.Output));
        Assert.Contains("question 1", withQuestions.Error);
    }

    [TestMethod]
    public void ChoicesAreEvaluated()
    {
        string choices = s_folder.File("choices.jsonl");
        File.WriteAllText(choices, """{"question": "1 + 1", "choices": ["2", "zebra"], "answer": 0}""");

        JsonElement json = SorsaCommand.Run("eval", TestData.TinyLlama, "--choices", choices, "--json").Succeeds().Json;

        Assert.AreEqual(1, json.GetProperty("choices").GetProperty("questions").GetInt32());
    }

    [TestMethod]
    public void AnAnalysisIsTheLibrarys()
    {
        string report = s_folder.File("analysis.html");

        JsonElement json = SorsaCommand.Run("analyze", TestData.TinyLlama, s_run, "--report", report, "--json").Succeeds().Json;

        SorsaAnalysis expected = Sorsa().Analyze(TestData.TinyLlama, Model);
        JsonElement[] matrices = [.. json.GetProperty("matrices").EnumerateArray()];
        Assert.HasCount(expected.Matrices.Count, matrices);
        Assert.AreEqual(
            expected.Matrices[3].SingularVectorChange, matrices[3].GetProperty("singularVectorChange").GetDouble(), 1e-9);
        Assert.IsTrue(File.Exists(report));
        Assert.Contains("intruders", SorsaCommand.Run("analyze", TestData.TinyLlama, s_run).Succeeds().Output);
    }

    [TestMethod]
    public void MemoryAndTimeAreEstimated()
    {
        JsonElement json = SorsaCommand.Run(
            ["estimate", s_rows, .. SorsaCommand.Training, "--number-of-epochs", "50", "--measured-steps", "4", "--json"]).Succeeds().Json;
        JsonElement memory = SorsaCommand.Run(
            ["estimate", .. SorsaCommand.Training, "--measured-steps", "0", "--json"]).Succeeds().Json;

        string remedies = SorsaCommand.Run("estimate", "--model-folder", TestData.TinyLlama, "--measured-steps", "0").Succeeds().Output;
        Assert.Contains("with --rank = 8: peak", remedies);
        Assert.IsFalse(remedies.Contains("Rank", StringComparison.Ordinal), remedies);
        var options = new SorsaFineTuningTrainer.Options
        {
            ModelFolder = TestData.TinyLlama,
            Rank = 4,
            TargetModules = ["q_proj", "down_proj"],
            BatchSize = 4,
        };
        JsonElement time = json.GetProperty("time");
        Assert.AreEqual(150, time.GetProperty("totalSteps").GetInt32());
        Assert.AreEqual(4, time.GetProperty("measuredSteps").GetInt32());
        Assert.AreEqual(
            time.GetProperty("secondsToStart").GetDouble() + (150 * time.GetProperty("secondsPerStep").GetDouble()),
            time.GetProperty("seconds").GetDouble(), 1e-6);
        Assert.AreEqual(Sorsa().Estimate(options).Peak, memory.GetProperty("memory").GetProperty("peak").GetInt64());
    }

    private static SorsaCatalog Sorsa() => new MLContext().Sorsa();
}
