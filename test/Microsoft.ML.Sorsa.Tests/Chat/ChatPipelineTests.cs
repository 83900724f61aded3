using System.Diagnostics;
using Microsoft.Agents.AI;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Tests.Surface;
using OpenTelemetry;
using OpenTelemetry.Trace;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>The client inside of what users build around it.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class ChatPipelineTests
{
    private const string Source = "chat-pipeline-tests";

    private static readonly MLContext s_ml = new(seed: 1);
    private static readonly Lazy<SorsaTransformer> s_model = new(() => ChatClientTests.Load());

    [ClassCleanup]
    public static void Clean() => s_model.Value.Dispose();

    [TestMethod]
    public async Task OpenTelemetrySeesModelTokensAndReason()
    {
        var activities = new List<Activity>();
        using TracerProvider tracing = Sdk.CreateTracerProviderBuilder().AddSource(Source).AddInMemoryExporter(activities).Build();
        using IChatClient client = s_model.Value.AsChatClient(new() { ModelId = "tiny" }).AsBuilder()
            .UseOpenTelemetry(sourceName: Source).Build();

        ChatResponse response = await client.GetResponseAsync(ChatClientTests.Question, new() { MaxOutputTokens = 200 });
        tracing.ForceFlush();

        Activity activity = activities.Single();
        Assert.AreEqual("sorsa", activity.GetTagItem("gen_ai.provider.name"));
        Assert.AreEqual("tiny", activity.GetTagItem("gen_ai.response.model"));
        Assert.AreEqual((int)response.Usage!.InputTokenCount!, activity.GetTagItem("gen_ai.usage.input_tokens"));
        Assert.AreEqual((int)response.Usage.OutputTokenCount!, activity.GetTagItem("gen_ai.usage.output_tokens"));
        Assert.Contains("stop", activity.GetTagItem("gen_ai.response.finish_reasons")!.ToString()!);
    }

    /// <summary>An agent with instructions, over several turns of its own session, streaming and not.</summary>
    [TestMethod]
    public async Task AnAgentSpeaksWithIt()
    {
        using IChatClient client = s_model.Value.AsChatClient();
        AIAgent agent = new ChatClientAgent(client, instructions: "Count well.", name: "counter");
        AgentSession session = await agent.CreateSessionAsync();

        AgentResponse first = await agent.RunAsync(ChatClientTests.Question, session);
        string second = "";
        await foreach (AgentResponseUpdate update in agent.RunStreamingAsync("And 2 more?", session))
        {
            second += update.Text;
        }

        ChatMessage[] conversation =
        [
            new(ChatRole.System, "Count well."), new(ChatRole.User, ChatClientTests.Question), new(ChatRole.Assistant, first.Text),
            new(ChatRole.User, "And 2 more?"),
        ];
        Assert.AreEqual((await client.GetResponseAsync(conversation[..2])).Text, first.Text);
        Assert.AreEqual((await client.GetResponseAsync(conversation)).Text, second);
        Assert.IsGreaterThan(0, second.Length);
    }

    /// <summary>Greedy texts of many callers, decoded together and one by one.</summary>
    [TestMethod]
    public async Task CallersSideBySideGetWhatEachGetsAlone()
    {
        string[] questions = [.. Enumerable.Range(1, 24).Select(i => $"Tom has {i} apples and buys {i * 3 % 7} more. How many?")];
        string[] alone = [.. questions.Select(s_model.Value.Generate)];
        using IChatClient client = s_model.Value.AsChatClient(new() { BatchSize = 8 });
        for (int round = 0; round < 3; round++)
        {
            ChatResponse[] together = await Task.WhenAll(questions.Select(question => Task.Run(() => client.GetResponseAsync(question))));

            CollectionAssert.AreEqual(alone, together.Select(response => response.Text).ToArray());
        }
    }

    /// <summary>Each its own options, and draws that are its own whoever is beside it.</summary>
    [TestMethod]
    public async Task EveryCallerHasItsOwnOptions()
    {
        using IChatClient client = s_model.Value.AsChatClient();
        ChatOptions[] options =
        [
            new() { MaxOutputTokens = 3 }, new() { Temperature = 1.2f, Seed = 3 }, new() { Temperature = 1.2f, Seed = 4 },
            new() { StopSequences = ["="] }, new() { FrequencyPenalty = 1 }, new(),
        ];
        List<string> alone = [];
        foreach (ChatOptions one in options)
        {
            alone.Add((await client.GetResponseAsync(ChatClientTests.Question, one)).Text);
        }

        ChatResponse[] together = await Task.WhenAll(options.Select(one => client.GetResponseAsync(ChatClientTests.Question, one)));

        CollectionAssert.AreEqual(alone, together.Select(response => response.Text).ToArray());
    }

    /// <summary>A request names its adapter as its model; one that names none has the adapter in use. All come at once.</summary>
    [TestMethod]
    public async Task AdaptersAreModelsOfTheirOwn()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer trained = TinyTask.Fit(s_ml);
        trained.SaveAdapter(folder.File("adapter"));
        using SorsaTransformer model = ChatClientTests.Load();
        model.LoadAdapter("sums", folder.File("adapter"));
        string[] questions = ["2 + 3", ChatClientTests.Question, "7 + 1"];
        string[] plain = [.. questions.Select(question => model.Generate(question, null))];
        string[] sums = [.. questions.Select(question => model.Generate(question, "sums"))];
        using IChatClient client = model.AsChatClient();
        ChatOptions adapted = new() { ModelId = "sums" };

        for (int round = 0; round < 2; round++)
        {
            ChatResponse[] answers = await Task.WhenAll(questions.SelectMany(question =>
                new[] { client.GetResponseAsync(question), client.GetResponseAsync(question, adapted) }));

            CollectionAssert.AreEqual(plain, answers.Where((_, at) => at % 2 == 0).Select(answer => answer.Text).ToArray());
            CollectionAssert.AreEqual(sums, answers.Where((_, at) => at % 2 == 1).Select(answer => answer.Text).ToArray());
            Assert.AreEqual("sums", answers[1].ModelId);
        }

        Assert.AreNotEqual(plain[1], sums[1]);
        model.UseAdapter("sums");
        Assert.AreEqual(sums[0], (await client.GetResponseAsync(questions[0])).Text);
    }

    /// <summary>ML.NET's own calls and the client's take turns.</summary>
    [TestMethod]
    public async Task GenerateAndTheClientShareTheModel()
    {
        using IChatClient client = s_model.Value.AsChatClient();
        string alone = s_model.Value.Generate(ChatClientTests.Question);

        Task<ChatResponse>[] chats = [.. Enumerable.Range(0, 6).Select(_ => client.GetResponseAsync(ChatClientTests.Question))];
        string[] generated = await Task.WhenAll(
            Enumerable.Range(0, 4).Select(_ => Task.Run(() => s_model.Value.Generate(ChatClientTests.Question))));

        Assert.IsTrue(generated.All(text => text == alone));
        Assert.IsTrue((await Task.WhenAll(chats)).All(response => response.Text == alone));
    }
}
