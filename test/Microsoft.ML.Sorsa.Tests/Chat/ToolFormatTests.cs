using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Data.Chat;
using Microsoft.ML.Sorsa.Tests.Cases;
using Microsoft.ML.Sorsa.Tests.Tokenization;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>The whole way round in every format: question, call, function, result, answer.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class ToolFormatTests
{
    private const string LlamaCall = """{"name": "get_weather", "parameters": {"city": "Zürich", "days": 2}}""";
    private const string MistralCall = """[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Zürich", "days": 2}}]""";
    private const string QwenCall = """
        <tool_call>
        {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2}}
        </tool_call>
        """;

    /// <summary>A template, and how its models write the call.</summary>
    public static IEnumerable<object[]> Formats =>
    [
        ["hermes-3", QwenCall], ["llama-3.1-instruct", LlamaCall],
        ["llama-3.2-instruct", "<|python_tag|>" + LlamaCall], ["mistral-instruct-v0.3", MistralCall],
        ["mistral-nemo-instruct", MistralCall], ["qwen2.5-instruct", QwenCall], ["qwen2.5-instruct-2024-09", "I look.\n" + QwenCall],
        ["qwen3", $"<think>\nWhere?\n</think>\n\n{QwenCall}"], ["qwen3-thinking-2507", $"Where?\n</think>\n\n{QwenCall}"],
    ];

    [TestMethod]
    public void EveryTemplateWithToolsIsTested() => CollectionAssert.AreEquivalent(
        ChatTemplate.WithTools.ToArray(), Formats.Select(format => (string)format[0]).ToArray());

    [TestMethod]
    [DynamicData(nameof(Formats))]
    public async Task FunctionInvocationCallsAndAnswers(string template, string call)
    {
        using IChatClient client = Client(template, call, "Clear for 2 days.").AsBuilder().UseFunctionInvocation().Build();
        var asked = new List<string>();
        AIFunction weather = AIFunctionFactory.Create((string city, int days) =>
        {
            asked.Add($"{city} {days}");
            return new { Sky = "clear" };
        }, "get_weather", "The weather in a city");

        List<ChatResponseUpdate> updates = await client.GetStreamingResponseAsync(
            "Weather in Zürich?", new() { Tools = [weather], MaxOutputTokens = 300 }).ToListAsync();
        ChatResponse response = updates.ToChatResponse();

        Assert.AreEqual("Zürich 2", asked.Single());
        Assert.AreEqual("Clear for 2 days.", response.Messages[^1].Text);
        Assert.AreEqual("assistant tool assistant", string.Join(' ', response.Messages.Select(message => message.Role.Value)));
        Assert.DoesNotContain("get_weather", response.Text);
        Assert.AreEqual(ChatFinishReason.Stop, response.FinishReason);
        Assert.IsTrue(updates.Any(update => update.FinishReason == ChatFinishReason.ToolCalls));
    }

    /// <summary>Marks that are special tokens of the tokenizer are left out of texts, and are seen all the same.</summary>
    [TestMethod]
    [DataRow("llama-3.1-instruct", "<|python_tag|>" + LlamaCall, "<|python_tag|>")]
    [DataRow("mistral-nemo-instruct", MistralCall, "[TOOL_CALLS]")]
    [DataRow("qwen3", "I look.\n" + QwenCall, "<tool_call>", "</tool_call>")]
    public async Task MarksMayBeSpecialTokens(string template, string answer, params string[] marks)
    {
        TextTokenizer tokenizer = TextTokenizer.Load(EditedTokenizer.With(TokenizerFiles.TokenizerJson, [.. marks.Select((mark, at) =>
            ($"added_tokens.{4 + at}", (string?)$$"""{"id": {{1024 + at}}, "content": "{{mark}}", "special": true}"""))]));
        Assert.IsTrue(marks.All(mark => tokenizer.Encode(answer, addSpecialTokens: false).Count(id => id == tokenizer.Find(mark)) == 1));
        using var client = new SorsaChatClient(
            ScriptedChat.OfTemplate(tokenizer, template, answer), new object(), new SorsaChatOptions());

        ChatResponse response = await client.GetResponseAsync(
            "Weather?", new() { Tools = [AIFunctionFactory.Create(() => 1, "get_weather")], MaxOutputTokens = 300 });

        Assert.AreEqual("get_weather", response.Messages.Single().Contents.OfType<FunctionCallContent>().Single().Name);
        Assert.AreEqual(template == "qwen3" ? "I look." : "", response.Text);
    }

    /// <summary>What a model wrote when it called is what the next prompt shows it, so that keys and values of it hold.</summary>
    [TestMethod]
    [DataRow("llama-3.1-instruct", LlamaCall)]
    [DataRow("hermes-3", QwenCall)]
    [DataRow("hermes-3", QwenCall + "\n" + QwenCall)]
    [DataRow("qwen2.5-instruct", "I look.\n" + QwenCall)]
    [DataRow("qwen2.5-instruct", "I look.\n\n" + QwenCall + "\n" + QwenCall)]
    [DataRow("qwen3", QwenCall)]
    [DataRow("qwen3", "<think>\nWhere?\n</think>\n\n" + QwenCall)]
    [DataRow("qwen3", "<think>\nWhere?\n</think>\n\nI look.\n" + QwenCall + "\n" + QwenCall)]
    [DataRow("qwen3-thinking-2507", "Where?\n</think>\n\n" + QwenCall)]
    public async Task TheNextPromptBeginsWithThisOneAndTheAnswer(string template, string answer)
    {
        ChatTemplate chat = ChatTemplate.Known.Single(known => known.Name == template);
        ChatOptions options = new() { Tools = [AIFunctionFactory.Create(() => 1, "get_weather")], MaxOutputTokens = 500 };
        ChatTool[] tools = [.. ConversationReader.Tools(options.Tools)];
        List<Microsoft.Extensions.AI.ChatMessage> messages = [new(ChatRole.User, "Weather?")];
        string Render() => chat.Render(ConversationReader.Messages(messages, null), true, "<s>", "</s>", tools).Text;
        string before = Render();
        using SorsaChatClient client = Client(template, answer);

        ChatResponse response = await client.GetResponseAsync(messages, options);
        messages.AddRange(response.Messages);
        messages.Add(new(ChatRole.Tool, [.. response.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>()
            .Select(call => new FunctionResultContent(call.CallId, "clear"))]));

        // In Qwen2.5's template a line break stands between the role and a call; its models write it when they call at once.
        string expected = before + answer + chat.EndOfTurn;
        Assert.AreEqual(expected, Render()[..Math.Min(expected.Length, Render().Length)]);
    }

    /// <summary>Qwen3 forgets what it thought when the user speaks again: what is kept holds up to there, and the rest is read.</summary>
    [TestMethod]
    public async Task WhereATemplateChangesEarlierTextItIsReadFromThere()
    {
        using var folder = new TemporaryFolder();
        string path = TemplateFolder.Create(folder.Path, "qwen3");
        string config = Path.Combine(path, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace(
            "\"max_position_embeddings\": 512", "\"max_position_embeddings\": 4096", StringComparison.Ordinal));
        using SorsaTransformer model = new MLContext().Sorsa().LoadModel(path);
        using IChatClient keeping = model.AsChatClient();
        using IChatClient forgetting = model.AsChatClient(new() { KeptTokens = 0 });
        ChatOptions options = new() { Tools = [AIFunctionFactory.Create(() => 1, "count", "Counts")], MaxOutputTokens = 8 };
        var prompts = new PromptEncoder(TextTokenizer.Load(path), PromptTemplate.Chat);
        List<Microsoft.Extensions.AI.ChatMessage> messages = [new(ChatRole.User, "2 + 3")];
        Microsoft.Extensions.AI.ChatMessage[] next =
        [
            new(ChatRole.Assistant, [new TextContent("<think>\nI count.\n</think>\n\n"), new FunctionCallContent("1", "count")]),
            new(ChatRole.Tool, [new FunctionResultContent("1", 5)]), new(ChatRole.Assistant, "5"), new(ChatRole.User, "And 1 more?"),
        ];
        int[] last = Ids();
        await keeping.GetResponseAsync(messages, options);
        foreach (Microsoft.Extensions.AI.ChatMessage[] added in new[] { next[..2], next[2..] })
        {
            messages.AddRange(added);
            int[] ids = Ids();
            int common = ids.Zip(last).TakeWhile(pair => pair.First == pair.Second).Count();

            ChatResponse kept = await keeping.GetResponseAsync(messages, options);
            ChatResponse whole = await forgetting.GetResponseAsync(messages, options);

            // The answer that the model gave, of which nobody knows, may go on as the messages do for some tokens more.
            Assert.IsInRange(common, common + 8, (int)kept.Usage!.CachedInputTokenCount!.Value);
            Assert.AreEqual(ids.Length, kept.Usage.InputTokenCount);
            Assert.AreEqual(whole.Text, kept.Text);
            Assert.AreEqual(added.Length == 2 && messages.Count == 3, common == last.Length, "only the second question changes what was");
            last = ids;
        }

        int[] Ids() => prompts.Encode(ConversationReader.Messages(messages, null), ConversationReader.Tools(options.Tools));
    }

    /// <summary>A mode that offers no tool leaves them out of the prompt, and no answer is a call.</summary>
    [TestMethod]
    [DynamicData(nameof(Formats))]
    public async Task WithoutToolsACallIsText(string template, string call)
    {
        using SorsaChatClient client = Client(template, call, call);
        ChatOptions options = new()
        {
            Tools = [AIFunctionFactory.Create(() => 1, "get_weather")],
            ToolMode = ChatToolMode.None,
            MaxOutputTokens = 300,
        };

        ChatResponse none = await client.GetResponseAsync("Weather?", options);
        ChatResponse plain = await client.GetResponseAsync("Weather?", new() { MaxOutputTokens = 300 });

        Assert.AreEqual(call, none.Text);
        Assert.AreEqual(plain.Usage!.InputTokenCount, none.Usage!.InputTokenCount);
        options.ToolMode = ChatToolMode.RequireAny;
        Assert.Contains("ToolMode requires a call", Assert.ThrowsExactly<NotSupportedException>(
            () => client.GetStreamingResponseAsync("a", options)).Message);
    }

    /// <summary>A list of two templates, which are recognised together: Hermes 3's. The second text is not in the repository.</summary>
    [TestMethod]
    public void ATemplateForToolsIsTakenWhereThereAreTools()
    {
        string forTools = File.ReadAllText(TestData.Require(TestData.Golden("chat", "templates", "tool_use", "hermes-3.jinja")));
        TextTokenizer tokenizer = Templates("chatml-bos", forTools);

        var prompts = new PromptEncoder(tokenizer, PromptTemplate.Chat);

        Assert.AreEqual("hermes-3", prompts.ChatTemplateName);
        Assert.IsNotNull(prompts.Tools);
        Assert.AreEqual("chatml-bos", ChatTemplate.FromText(tokenizer.ChatTemplateText!).Name);
    }

    [TestMethod]
    public void ATextThatIsForBothHasItsTools()
    {
        string both = File.ReadAllText(TestData.Golden("chat", "templates", "qwen2.5-instruct.jinja"));

        Assert.IsNotNull(new PromptEncoder(Templates("qwen2.5-instruct", both), PromptTemplate.Chat).Tools);
    }

    /// <summary>The other template does for conversations without tools.</summary>
    [TestMethod]
    [DataRow("chatml")]
    [DataRow("chatml-bos")]
    [DataRow("qwen2.5-instruct")]
    public async Task AnUnknownTemplateForToolsIsRefusedWhereThereAreTools(string name)
    {
        const string ForTools = "{{ tools }}";
        TextTokenizer tokenizer = Templates(name, ForTools);
        int[] script = [.. tokenizer.Encode("Hi.", addSpecialTokens: false), tokenizer.EosTokenId!.Value];
        using var client = new SorsaChatClient(
            ScriptedChat.Of(new ScriptedModel(tokenizer.VocabularySize, script), tokenizer, PromptTemplate.Chat), new object(), new());

        ChatResponse response = await client.GetResponseAsync("Hello");
        string message = Assert.ThrowsExactly<NotSupportedException>(() => client.GetStreamingResponseAsync(
            "Weather?", new() { Tools = [AIFunctionFactory.Create(() => 1, "get_weather")] })).Message;

        Assert.AreEqual("Hi.", response.Text);
        Assert.StartsWith($"ChatOptions.Tools has get_weather, and the chat template {name} has no place for tools.", message);
        Assert.Contains($"tool_use (SHA-256 {Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(ForTools)))})", message);
        Assert.Contains("Leave them out, or use a model whose template is one of hermes-3, ", message);
    }

    [TestMethod]
    public void SeveralCallsAreRefusedWhereTheTemplateTakesOne()
    {
        using SorsaChatClient client = Client("llama-3.1-instruct", "a");

        string message = Assert.ThrowsExactly<ArgumentException>(() => client.GetStreamingResponseAsync(
        [
            new(ChatRole.User, "a"),
            new(ChatRole.Assistant, [new FunctionCallContent("1", "f"), new FunctionCallContent("2", "g")]),
        ])).Message;

        Assert.StartsWith("The chat template llama-3.1-instruct refuses the messages", message);
        Assert.Contains("This model only supports single tool-calls at once!", message);
    }

    /// <summary>The bundled model's tokenizer with a list of templates: a known one, and a text for conversations with tools.</summary>
    private static TextTokenizer Templates(string name, string forTools) => TextTokenizer.Load(EditedTokenizer.With(
        TokenizerFiles.TokenizerConfig, "chat_template", JsonSerializer.Serialize(new Dictionary<string, string>[]
        {
            new() { ["name"] = "default", ["template"] = File.ReadAllText(TestData.Golden("chat", "templates", name + ".jinja")) },
            new() { ["name"] = "tool_use", ["template"] = forTools },
        })));

    private static SorsaChatClient Client(string template, params string[] answers) =>
        new(ScriptedChat.OfTemplate(template, answers), new object(), new SorsaChatOptions());
}
