using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>Tools in Mistral v0.3's template, whose calls run to the end of the answer and have ids.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class ChatToolTests
{
    private const string Template = "mistral-instruct-v0.3";
    private const string Call = """[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Zürich", "days": 2}}]""";

    [TestMethod]
    public async Task ACallIsReadAndItsWordsAreNotText()
    {
        using var folder = new TemporaryFolder();
        using SorsaChatClient client = Client(folder, Call);

        List<ChatResponseUpdate> updates = await client.GetStreamingResponseAsync("Weather?", Options()).ToListAsync();
        ChatResponse response = updates.ToChatResponse();

        Assert.AreEqual(ChatFinishReason.ToolCalls, response.FinishReason);
        FunctionCallContent call = response.Messages.Single().Contents.OfType<FunctionCallContent>().Single();
        Assert.AreEqual("get_weather", call.Name);
        Assert.AreEqual("Zürich", call.Arguments!["city"]!.ToString());
        Assert.AreEqual("2", call.Arguments["days"]!.ToString());
        Assert.HasCount(9, call.CallId);
        Assert.AreEqual("", string.Concat(updates.Select(update => update.Text)));
    }

    [TestMethod]
    [DataRow("It is sunny.")]
    [DataRow("[TOOL_CALL")]
    [DataRow("""[TOOL_CALLS] [{"name": "get_weather", "arg""")]
    [DataRow("""[TOOL_CALLS] {"name": "get_weather"}""")]
    [DataRow("""[TOOL_CALLS] [{"name": 1, "arguments": {}}]""")]
    [DataRow("""[TOOL_CALLS] [{"name": "a", "arguments": [1]}]""")]
    [DataRow("[TOOL_CALLS] []")]
    [DataRow("[TOOL_CALLS] [null]")]
    [DataRow("""[TOOL_CALLS] [{"name": null, "arguments": {}}]""")]
    [DataRow("""[TOOL_CALLS] [{"name": "", "arguments": {}}]""")]
    [DataRow("""[TOOL_CALLS] [{"name": "a", "name": "b", "arguments": {}}]""")]
    [DataRow("""[TOOL_CALLS] [{"name": "a", "arguments": {"x": 1, "x": 2}}]""")]
    [DataRow("""[TOOL_CALLS] [{"name": "a", "arguments": {"x": [{"y": 1, "y": 2}]}}]""")]
    [DataRow("""[TOOL_CALLS] [{"name": "\ud800", "arguments": {}}]""")]
    [DataRow("""[TOOL_CALLS] [{"name": "a", "arguments": {"\ud800": 1}}]""")]
    [DataRow("""[TOOL_CALLS] [{"name": "a", "arguments": {"x": ["\ud800"]}}]""")]
    public async Task WhatIsNoWholeCallIsText(string answer)
    {
        using var folder = new TemporaryFolder();
        using SorsaChatClient client = Client(folder, answer);

        ChatResponse response = await client.GetResponseAsync("Weather?", Options());

        Assert.AreEqual(answer, response.Text);
        Assert.AreEqual(ChatFinishReason.Stop, response.FinishReason);
    }

    [TestMethod]
    public async Task WithoutToolsACallIsText()
    {
        using var folder = new TemporaryFolder();
        using SorsaChatClient client = Client(folder, Call);

        Assert.AreEqual(Call, (await client.GetResponseAsync("Weather?")).Text);
    }

    [TestMethod]
    public async Task OneCallAloneWhereSeveralAreNotAllowed()
    {
        const string Two = """[TOOL_CALLS] [{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}, "id": "123456789"}]""";
        using var folder = new TemporaryFolder();
        using SorsaChatClient client = Client(folder, Two, Two);
        ChatOptions options = Options();

        ChatResponse both = await client.GetResponseAsync("Weather?", options);
        options.AllowMultipleToolCalls = false;
        ChatResponse one = await client.GetResponseAsync("Weather?", options);

        Assert.AreEqual("a b", string.Join(' ', Calls(both).Select(call => call.Name)));
        Assert.AreEqual("123456789", Calls(both)[1].CallId);
        Assert.AreEqual("a", Calls(one).Single().Name);

        static List<FunctionCallContent> Calls(ChatResponse response) =>
            [.. response.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>()];
    }

    /// <summary>The template takes an id of nine letters and digits back, and no other.</summary>
    [TestMethod]
    [DataRow("null")]
    [DataRow("7")]
    [DataRow("\"\"")]
    [DataRow("\"12345678\"")]
    [DataRow("\"1234567890\"")]
    [DataRow("\"1234 6789\"")]
    [DataRow("\"abcdefgh\u00e9\"")]
    [DataRow("\"abc123XYZ\"", "abc123XYZ")]
    public async Task TheNextTurnTakesTheIdsBack(string id, string? kept = null)
    {
        using var folder = new TemporaryFolder();
        string call = $$"""{"name": "a", "arguments": {}, "id": {{id}}}""";
        using SorsaChatClient client = Client(folder, $"[TOOL_CALLS] [{call}, {call}]", "Clear.");
        List<Microsoft.Extensions.AI.ChatMessage> messages = [new(ChatRole.User, "Weather?")];

        ChatResponse asked = await client.GetResponseAsync(messages, Options());
        FunctionCallContent[] calls = [.. asked.Messages.Single().Contents.OfType<FunctionCallContent>()];
        messages.AddRange(asked.Messages);
        messages.Add(new(ChatRole.Tool, [.. calls.Select(one => new FunctionResultContent(one.CallId, "clear"))]));
        ChatResponse answered = await client.GetResponseAsync(messages, Options());

        Assert.AreEqual("Clear.", answered.Text);
        Assert.AreEqual(2, calls.Select(one => one.CallId).Distinct().Count());
        if (kept is not null)
        {
            Assert.AreEqual(kept, calls[0].CallId);
        }
    }

    /// <summary>As OpenAI's API: what is cut says so, whole calls or not, and nothing changes its place.</summary>
    [TestMethod]
    public async Task ACutAnswerSaysSoBesideItsCalls()
    {
        const string Answer =
            "I look.\n<tool_call>\n{\"name\": \"a\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"b\", \"arg";
        TextTokenizer tokenizer = TextTokenizer.Load(TestData.TinyLlama);
        using var client = new SorsaChatClient(
            ScriptedChat.OfTemplate("qwen2.5-instruct", Answer, Answer), new object(), new SorsaChatOptions());
        ChatOptions options = Options();
        options.MaxOutputTokens = tokenizer.Encode(Answer, addSpecialTokens: false).Length;

        List<ChatResponseUpdate> updates = await client.GetStreamingResponseAsync("Weather?", options).ToListAsync();
        ChatResponse cut = updates.ToChatResponse();

        Assert.AreEqual(ChatFinishReason.Length, cut.FinishReason);
        Assert.AreEqual("I look.|a|\n<tool_call>\n{\"name\": \"b\", \"arg", string.Join('|', cut.Messages.Single().Contents.Select(
            content => content is FunctionCallContent call ? call.Name : ((TextContent)content).Text)));
        Assert.IsTrue(updates.SkipLast(1).Any(update => update.Contents.OfType<FunctionCallContent>().Any()), "it comes when it ends");
    }

    /// <summary>The template shows ids to the model: the same request makes the same prompt in the next turn.</summary>
    [TestMethod]
    public async Task TheSameRequestHasTheSameIdsAndTheNextOneOthers()
    {
        using var folder = new TemporaryFolder();
        using SorsaChatClient client = Client(folder, Call, Call, Call);
        List<Microsoft.Extensions.AI.ChatMessage> messages = [new(ChatRole.User, "Weather?")];

        ChatResponse first = await client.GetResponseAsync(messages, Options());
        ChatResponse again = await client.GetResponseAsync(messages, Options());
        string id = Id(first);
        messages.AddRange(first.Messages);
        messages.Add(new(ChatRole.Tool, [new FunctionResultContent(id, "clear")]));
        ChatResponse next = await client.GetResponseAsync(messages, Options());

        Assert.AreEqual(id, Id(again));
        Assert.AreNotEqual(id, Id(next));

        static string Id(ChatResponse response) => response.Messages.Single().Contents.OfType<FunctionCallContent>().Single().CallId;
    }

    [TestMethod]
    public void ARequiredCallIsRefused()
    {
        using var folder = new TemporaryFolder();
        using SorsaChatClient client = Client(folder, Call);
        ChatOptions options = Options();
        options.ToolMode = ChatToolMode.RequireAny;

        Assert.Contains("ToolMode requires a call", Assert.ThrowsExactly<NotSupportedException>(
            () => client.GetStreamingResponseAsync("a", options)).Message);
    }

    /// <summary>The whole way round, by Microsoft.Extensions.AI's own loop: call, function, result, answer.</summary>
    [TestMethod]
    public async Task FunctionInvocationCallsAndAnswers()
    {
        using var folder = new TemporaryFolder();
        using IChatClient client = Client(folder, Call, "Clear for 2 days.").AsBuilder().UseFunctionInvocation().Build();
        var asked = new List<string>();
        AIFunction weather = AIFunctionFactory.Create((string city, int days) =>
        {
            asked.Add($"{city} {days}");
            return "clear";
        }, "get_weather", "The weather in a city");

        ChatResponse response = await client.GetResponseAsync("Weather in Zürich?", new() { Tools = [weather], MaxOutputTokens = 150 });

        Assert.AreEqual("Zürich 2", asked.Single());
        Assert.AreEqual("Clear for 2 days.", response.Text);
        Assert.AreEqual("assistant tool assistant", string.Join(' ', response.Messages.Select(message => message.Role.Value)));
    }

    private static SorsaChatClient Client(TemporaryFolder folder, params string[] answers) => new(
        ScriptedChat.Of(TemplateFolder.Create(folder.Path, Template), PromptTemplate.Chat, answers), new object(), new SorsaChatOptions());

    private static ChatOptions Options() => new()
    {
        Tools = [AIFunctionFactory.Create((string city, int days) => city + days, "get_weather", "The weather in a city")],
        MaxOutputTokens = 150,
    };
}
