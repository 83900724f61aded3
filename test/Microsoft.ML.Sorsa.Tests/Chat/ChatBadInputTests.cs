using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Data;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>What a request may not ask, and what the client says to it, before anything is generated.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class ChatBadInputTests
{
    private static readonly Lazy<SorsaTransformer> s_model = new(() => ChatClientTests.Load());
    private static readonly Lazy<IChatClient> s_client = new(() => s_model.Value.AsChatClient());

    [ClassCleanup]
    public static void Clean()
    {
        s_client.Value.Dispose();
        s_model.Value.Dispose();
    }

    public static IEnumerable<object[]> Unsupported =>
    [
        [new ChatOptions { ConversationId = "c1" }, "ConversationId is \"c1\"", "Send all messages"],
        [new ChatOptions { ResponseFormat = ChatResponseFormat.Json }, "ResponseFormat asks for JSON", "ask for JSON in the messages"],
        [
            new ChatOptions { ResponseFormat = ChatResponseFormat.ForJsonSchema<int>() }, "ResponseFormat asks for JSON",
            "useJsonSchemaResponseFormat: false",
        ],
        [new ChatOptions { Reasoning = new() { Effort = ReasoningEffort.High } }, "effort High", "Leave it out"],
        [new ChatOptions { AdditionalProperties = new() { ["min_p"] = 0.1 } }, "has min_p", "RawRepresentationFactory"],
        [new ChatOptions { RawRepresentationFactory = _ => "a" }, "System.String", "takes GenerationOptions"],
        [
            new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, "count")] }, "has count",
            "use a model whose template has: hermes-3, llama-3.1-instruct, llama-3.2-instruct, mistral-instruct-v0.3, "
                + "mistral-nemo-instruct, qwen2.5-instruct, qwen2.5-instruct-2024-09, qwen3, qwen3-thinking-2507",
        ],
    ];

    [TestMethod]
    [DynamicData(nameof(Unsupported))]
    public void WhatItHasNotItRefuses(ChatOptions options, string problem, string remedy)
    {
        string message = Assert.ThrowsExactly<NotSupportedException>(() => s_client.Value.GetStreamingResponseAsync("a", options)).Message;

        Assert.Contains(problem, message);
        Assert.Contains(remedy, message);
    }

    public static IEnumerable<object[]> OutsideTheirRange =>
    [
        [new ChatOptions { MaxOutputTokens = 0 }, "MaxNewTokens is 0"],
        [new ChatOptions { Temperature = -1 }, "Temperature is -1"],
        [new ChatOptions { Temperature = 1, TopP = 1.5f }, "TopP is 1.5"],
        [new ChatOptions { Temperature = 1, TopK = -1 }, "TopK is -1"],
        [new ChatOptions { TopP = 0.5f }, "TopP is 0.5 and Temperature is 0"],
        [new ChatOptions { FrequencyPenalty = 2.5f }, "FrequencyPenalty is 2.5"],
        [new ChatOptions { PresencePenalty = -3 }, "PresencePenalty is -3"],
        [new ChatOptions { StopSequences = [""] }, "holds an empty text"],
        [new ChatOptions { ModelId = "other" }, "ModelId is \"other\"; this client has 'sorsa'"],
    ];

    [TestMethod]
    [DynamicData(nameof(OutsideTheirRange))]
    public void WhatIsOutsideItsRangeItRefuses(ChatOptions options, string problem) => Assert.Contains(
        problem, Assert.Throws<ArgumentException>(() => s_client.Value.GetStreamingResponseAsync("a", options)).Message);

    [TestMethod]
    public async Task WhatChangesNothingIsTaken()
    {
        ChatResponse plain = await s_client.Value.GetResponseAsync("a");
        ChatResponse response = await s_client.Value.GetResponseAsync("a", new ChatOptions
        {
            ModelId = "sorsa",
            ResponseFormat = ChatResponseFormat.Text,
            ToolMode = ChatToolMode.None,
            Tools = [AIFunctionFactory.Create(() => 1, "count")],
            Temperature = 0,
            TopP = 0.5f,
            TopK = 3,
            Reasoning = new() { Effort = ReasoningEffort.None },
        });

        Assert.AreEqual(plain.Text, response.Text);
    }

    [TestMethod]
    public void NoMessagesAndWrongOrdersAreRefusedWithTheTemplatesReason()
    {
        ChatMessage user = new(ChatRole.User, "a"), assistant = new(ChatRole.Assistant, "b"), system = new(ChatRole.System, "c");
        Assert.Contains("The last message must be the user's", Refusal());
        Assert.Contains("The last message must be the user's", Refusal(user, assistant));
        Assert.Contains("the roles must be user, assistant, user", Refusal(user, user));
        Assert.Contains("the roles must be user, assistant, user", Refusal(user, system));
        Assert.Contains("whose roles are assistant", Refusal(assistant));

        string Refusal(params ChatMessage[] messages) =>
            Assert.ThrowsExactly<ArgumentException>(() => s_client.Value.GetStreamingResponseAsync(messages)).Message;
    }

    [TestMethod]
    [DataRow("mistral-instruct-v0.1", "Conversation roles must alternate user/assistant/user/assistant/...", "system", "user")]
    [DataRow("mistral-instruct-v0.3", "conversation roles must alternate user/assistant/user/assistant/...", "user", "user")]
    [DataRow("chatml", "Cannot apply chat template to an empty conversation.")]
    public void AChatTemplatesOwnReasonIsTold(string template, string reason, params string[] roles)
    {
        using var folder = new TemporaryFolder();
        string path = TemplateFolder.Create(folder.Path, template);
        using var client = new SorsaChatClient(
            ScriptedChat.Of(path, PromptTemplate.Chat, "a"), new object(), new SorsaChatOptions());

        string message = Assert.ThrowsExactly<ArgumentException>(() => client.GetStreamingResponseAsync(
            [.. roles.Select(role => new ChatMessage(new ChatRole(role), "a"))])).Message;

        Assert.StartsWith($"The chat template {template} refuses the messages", message);
        Assert.Contains(reason, message);
    }

    [TestMethod]
    public void AnUnknownChatTemplateIsRefusedWhenTheClientIsMade()
    {
        using var folder = new TemporaryFolder();
        TemplateFolder.CopyModel(folder.Path);
        File.WriteAllText(Path.Combine(folder.Path, "chat_template.jinja"), "{{ messages[0].content }}");
        using SorsaTransformer model = new MLContext().Sorsa().LoadModel(folder.Path);

        string message = Assert.ThrowsExactly<NotSupportedException>(() => model.AsChatClient()).Message;

        Assert.Contains("chatml", message);
        Assert.Contains("PromptTemplate.Format", message);
        Assert.Contains("SorsaChatOptions.Template", message);
        using IChatClient client = model.AsChatClient(new() { Template = PromptTemplate.Format("{prompt}") });
        Assert.IsNotNull(client);
    }

    [TestMethod]
    public void AskingForATemplateThatIsNotThereIsRefused()
    {
        SorsaChatOptions options = new() { Template = PromptTemplate.Chat };

        Assert.Contains(
            "the tokenizer has none", Assert.ThrowsExactly<ArgumentException>(() => s_model.Value.AsChatClient(options)).Message);
    }

    [TestMethod]
    public void WhatIsNoTextIsRefused()
    {
        string message = Assert.ThrowsExactly<NotSupportedException>(() => s_client.Value.GetStreamingResponseAsync(
            [new ChatMessage(ChatRole.User, [new DataContent(new byte[] { 1 }, "image/png")])])).Message;

        Assert.Contains("DataContent", message);
        Assert.Contains("the model reads text alone", message);
    }

    /// <summary>Where the tokenizer's own template has tools, and another one is in use, that is the remedy.</summary>
    [TestMethod]
    public void ToolsOverAFormatAreRefusedWithTheTemplateThatHasThem()
    {
        using var folder = new TemporaryFolder();
        string path = TemplateFolder.Create(folder.Path, "qwen3");
        using var client = new SorsaChatClient(
            ScriptedChat.Of(path, PromptTemplate.Format("{prompt}"), "a"), new object(), new SorsaChatOptions());

        string message = Assert.ThrowsExactly<NotSupportedException>(() => client.GetStreamingResponseAsync(
            "a", new() { Tools = [AIFunctionFactory.Create(() => 1, "count")] })).Message;

        Assert.Contains("has count, and the model's prompt template has no place for tools", message);
        Assert.Contains("That of its tokenizer, qwen3, has: set SorsaChatOptions.Template to PromptTemplate.Chat", message);
    }

    [TestMethod]
    public void CallsInAModelWithoutToolsAreRefused() => Assert.Contains(
        "calls the tool count", Assert.ThrowsExactly<NotSupportedException>(() => s_client.Value.GetStreamingResponseAsync(
            [new(ChatRole.User, "a"), new(ChatRole.Assistant, [new FunctionCallContent("1", "count")])])).Message);

    [TestMethod]
    public void AConversationLongerThanThePositionsIsRefused()
    {
        string message = Assert.ThrowsExactly<ArgumentException>(
            () => s_client.Value.GetStreamingResponseAsync(string.Concat(Enumerable.Repeat("12 + 7 = ", 512)))).Message;

        Assert.Contains("it has 512 positions, so that at most 511 leave room", message);
        Assert.Contains("Leave out or shorten the oldest messages", message);
    }

    [TestMethod]
    public async Task AfterDisposeNothingIsAnswered()
    {
        using SorsaTransformer model = ChatClientTests.Load();
        IChatClient client = model.AsChatClient();
        IAsyncEnumerable<ChatResponseUpdate> asked = client.GetStreamingResponseAsync("a");
        client.Dispose();
        client.Dispose();

        await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => client.GetResponseAsync("a"));
        await Assert.ThrowsExactlyAsync<ObjectDisposedException>(async () => await asked.ToListAsync());
        Assert.IsGreaterThan(0, model.Generate("a").Length);

        using IChatClient orphan = model.AsChatClient();
        model.Dispose();
        await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => orphan.GetResponseAsync("a"));
    }

    [TestMethod]
    public void OptionsOfTheClientHaveRanges()
    {
        Assert.Contains("ModelId is empty", Assert.ThrowsExactly<ArgumentException>(() => new SorsaChatOptions { ModelId = " " }).Message);
        Assert.Contains("BatchSize is 0", Assert.Throws<ArgumentException>(() => new SorsaChatOptions { BatchSize = 0 }).Message);
        Assert.Contains("KeptTokens is -1", Assert.Throws<ArgumentException>(() => new SorsaChatOptions { KeptTokens = -1 }).Message);
    }
}
