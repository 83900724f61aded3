using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Chat;

/// <summary>The client alone, over the bundled model.</summary>
[TestClass]
[TestCategory("Chat")]
public sealed class ChatClientTests
{
    internal const string Question = "Tom has 3 apples and buys 4 more. How many apples does he have?";

    private static readonly MLContext s_ml = new(seed: 1);
    private static readonly Lazy<SorsaTransformer> s_model = new(() => Load());

    [ClassCleanup]
    public static void Clean() => s_model.Value.Dispose();

    [TestMethod]
    public async Task AnAnswerIsWhatGenerateGives()
    {
        using IChatClient client = s_model.Value.AsChatClient();

        ChatResponse response = await client.GetResponseAsync(Question);

        Assert.AreEqual(s_model.Value.Generate(Question), response.Text);
        Assert.IsGreaterThan(10, response.Text.Length);
        Assert.AreEqual(ChatRole.Assistant, response.Messages.Single().Role);
    }

    [TestMethod]
    public async Task AStreamIsTheAnswerTokenByToken()
    {
        using IChatClient client = s_model.Value.AsChatClient();

        List<ChatResponseUpdate> updates = await client.GetStreamingResponseAsync(Question).ToListAsync();

        Assert.AreEqual(s_model.Value.Generate(Question), string.Concat(updates.Select(update => update.Text)));
        Assert.IsGreaterThan(5, updates.Count);
        Assert.HasCount(1, updates.Select(update => update.ResponseId).Distinct());
        Assert.HasCount(1, updates.Select(update => update.MessageId).Distinct());
        Assert.IsTrue(updates.SkipLast(1).All(update => update.FinishReason is null));
        Assert.IsNotNull(updates[^1].FinishReason);
    }

    /// <summary>Byte tokens come one by one; a character of four bytes must not come in pieces.</summary>
    [TestMethod]
    public async Task AStreamHasNoBrokenCharacters()
    {
        string[] texts = ["naïve 日本 🎈🎉", "🎈 é"];
        foreach (string text in texts)
        {
            using IChatClient client = new SorsaChatClient(
                ScriptedChat.Of(TestData.TinyLlama, PromptTemplate.Alpaca, text), new object(), new SorsaChatOptions());

            string[] pieces = [.. (await client.GetStreamingResponseAsync("a").ToListAsync()).Select(update => update.Text)];

            Assert.AreEqual(text, string.Concat(pieces));
            Assert.IsFalse(pieces.Any(piece => piece.Contains('\uFFFD') || (piece.Length > 0 && char.IsHighSurrogate(piece[^1]))));
            Assert.IsGreaterThan(1, pieces.Count(piece => piece.Length > 0), text);
        }
    }

    [TestMethod]
    public async Task UsageAndFinishReasonsAreThoseOfTheTokens()
    {
        using IChatClient client = s_model.Value.AsChatClient();
        int prompt = new PromptEncoder(TextTokenizer.Load(TestData.TinyLlama), PromptTemplate.Alpaca).Encode(Question).Length;

        ChatResponse whole = await client.GetResponseAsync(Question, new() { MaxOutputTokens = 200 });
        ChatResponse cut = await client.GetResponseAsync(Question, new() { MaxOutputTokens = 5 });
        ChatResponse stopped = await client.GetResponseAsync(Question, new() { StopSequences = [" "] });

        Assert.AreEqual(ChatFinishReason.Stop, whole.FinishReason);
        Assert.AreEqual(ChatFinishReason.Length, cut.FinishReason);
        Assert.AreEqual(ChatFinishReason.Stop, stopped.FinishReason);
        Assert.AreEqual(prompt, whole.Usage!.InputTokenCount);
        Assert.AreEqual(5, cut.Usage!.OutputTokenCount);
        Assert.AreEqual(prompt + 5, cut.Usage.TotalTokenCount);
        Assert.IsTrue(whole.Text.StartsWith(cut.Text, StringComparison.Ordinal));
        Assert.AreEqual(whole.Text.Split(' ')[0], stopped.Text);

        // The second request reads but the last token of the same prompt.
        Assert.AreEqual(0, whole.Usage.CachedInputTokenCount);
        Assert.AreEqual(prompt - 1, cut.Usage.CachedInputTokenCount);
    }

    /// <summary>The same numbers as the model's own options: the client adds nothing of its own to a draw.</summary>
    [TestMethod]
    public async Task ADrawnAnswerIsWhatGenerateDraws()
    {
        GenerationOptions options = new() { MaxNewTokens = 30, Temperature = 1.4, TopP = 0.9, TopK = 50, Seed = 7 };
        using SorsaTransformer model = Load(generation: options);
        using IChatClient asTheModel = model.AsChatClient(), asAsked = s_model.Value.AsChatClient();

        ChatResponse first = await asTheModel.GetResponseAsync(Question, new() { Seed = 7 });
        ChatResponse second = await asAsked.GetResponseAsync(
            Question, new() { MaxOutputTokens = 30, Temperature = 1.4f, TopP = 0.9f, TopK = 50, Seed = 7 });
        ChatResponse other = await asAsked.GetResponseAsync(
            Question, new() { MaxOutputTokens = 30, Temperature = 1.4f, TopP = 0.9f, TopK = 50, Seed = 8 });

        Assert.AreEqual(model.Generate(Question), first.Text);
        Assert.AreEqual(first.Text, second.Text);
        Assert.AreNotEqual(first.Text, other.Text);
    }

    /// <summary>Where <see cref="ChatOptions.Seed"/> says nothing; 0 is what stands there where none was given.</summary>
    [TestMethod]
    public async Task TheSeedOfTheFactorysOptionsHolds()
    {
        GenerationOptions own = new() { MaxNewTokens = 30, Temperature = 1.4, Seed = 7 };
        using IChatClient client = s_model.Value.AsChatClient();
        async Task<string> Ask(int seed, long? asked = null) => (await client.GetResponseAsync(
            Question, new() { RawRepresentationFactory = _ => own with { Seed = seed }, Seed = asked })).Text;

        string seven = await Ask(7);

        Assert.AreEqual(seven, await Ask(7));
        Assert.AreEqual(seven, await Ask(8, asked: 7));
        Assert.AreNotEqual(seven, await Ask(8));
        Assert.AreNotEqual(await Ask(0), await Ask(0));
    }

    [TestMethod]
    public async Task WithoutASeedAnswersVaryAndGreedyOnesDoNot()
    {
        using IChatClient client = s_model.Value.AsChatClient();
        var answers = new HashSet<string>();
        for (int i = 0; i < 8; i++)
        {
            answers.Add((await client.GetResponseAsync(Question, new() { Temperature = 2 })).Text);
        }

        Assert.IsGreaterThan(1, answers.Count);
        using SorsaTransformer drawing = Load(generation: new() { MaxNewTokens = 40, Temperature = 1, TopP = 0.5, TopK = 3 });
        using IChatClient greedy = drawing.AsChatClient();
        Assert.AreEqual(s_model.Value.Generate(Question), (await greedy.GetResponseAsync(Question, new() { Temperature = 0 })).Text);
    }

    /// <summary>
    /// Over a model that scores one token 1 and all others 0, the lowest ids of which are special and among them the end token. The formula
    /// itself: <see cref="Generation.GenerationPenaltyTests"/>.
    /// </summary>
    [TestMethod]
    [DataRow(0.6f, 0f, 2)]
    [DataRow(0.3f, 0f, 4)]
    [DataRow(0f, 1.5f, 1)]
    [DataRow(0f, 0.6f, 12)]
    [DataRow(0.3f, 0.5f, 2)]
    public async Task PenaltiesCountTheAnswersTokens(float frequency, float presence, int said)
    {
        TextTokenizer tokenizer = TextTokenizer.Load(TestData.TinyLlama);
        string letter = tokenizer.Decode([70], skipSpecialTokens: true);
        using var client = new SorsaChatClient(
            ScriptedChat.Of(new SteppedModel(tokenizer.VocabularySize, 70, _ => { }), tokenizer, PromptTemplate.Alpaca), new object(),
            new SorsaChatOptions());

        ChatResponse response = await client.GetResponseAsync(
            "a", new() { FrequencyPenalty = frequency, PresencePenalty = presence, MaxOutputTokens = 12 });

        Assert.AreEqual(string.Concat(Enumerable.Repeat(letter, said)), response.Text);
    }

    [TestMethod]
    public async Task InstructionsAreWhatTheSystemSays()
    {
        using IChatClient client = s_model.Value.AsChatClient();
        ChatMessage user = new(ChatRole.User, Question);

        ChatResponse instructed = await client.GetResponseAsync([user], new() { Instructions = "Count." });
        ChatResponse system = await client.GetResponseAsync([new(ChatRole.System, "Count."), user]);
        ChatResponse both = await client.GetResponseAsync([new(ChatRole.System, "Well."), user], new() { Instructions = "Count." });
        ChatResponse joined = await client.GetResponseAsync($"Count.\n\nWell.\n\n{Question}");

        Assert.AreEqual(system.Usage!.InputTokenCount, instructed.Usage!.InputTokenCount);
        Assert.AreEqual(system.Text, instructed.Text);
        Assert.AreEqual(joined.Usage!.InputTokenCount, both.Usage!.InputTokenCount);
        Assert.AreEqual(joined.Text, both.Text);
    }

    /// <summary>A second turn reads what is new, and gives what it gives when all is read.</summary>
    [TestMethod]
    public async Task ASecondTurnReadsWhatIsNew()
    {
        using IChatClient keeping = s_model.Value.AsChatClient();
        using IChatClient forgetting = s_model.Value.AsChatClient(new() { KeptTokens = 0 });
        List<ChatMessage> messages = [new(ChatRole.User, Question)];
        for (int turn = 0; turn < 4; turn++)
        {
            ChatResponse response = await keeping.GetResponseAsync(messages);
            ChatResponse whole = await forgetting.GetResponseAsync(messages);

            Assert.AreEqual(whole.Text, response.Text, $"turn {turn}");
            Assert.AreEqual(0, whole.Usage!.CachedInputTokenCount);
            long fresh = response.Usage!.InputTokenCount!.Value - response.Usage.CachedInputTokenCount!.Value;
            if (turn > 0)
            {
                // The end token of the answer before, and the new message in its template.
                Assert.IsLessThan(whole.Usage.InputTokenCount!.Value / 2, fresh, $"turn {turn}");
            }

            messages.AddMessages(response);
            messages.Add(new ChatMessage(ChatRole.User, "And 2?"));
        }
    }

    [TestMethod]
    public async Task AConversationIsOneRowAfterTheOther()
    {
        using IChatClient client = s_model.Value.AsChatClient();
        PromptEncoder prompts = new(TextTokenizer.Load(TestData.TinyLlama), PromptTemplate.Alpaca);
        int[] expected =
        [
            .. prompts.Encode("a"), .. prompts.Tokenizer.Encode("b", addSpecialTokens: false), prompts.Tokenizer.EosTokenId!.Value,
            .. prompts.Encode("c")[1..],
        ];

        ChatResponse response = await client.GetResponseAsync(
            [new(ChatRole.User, "a"), new(ChatRole.Assistant, "b"), new(ChatRole.User, "c")]);

        CollectionAssert.AreEqual(expected, prompts.Encode([new("user", "a"), new("assistant", "b"), new("user", "c")], []));
        Assert.AreEqual(expected.Length, response.Usage!.InputTokenCount);
    }

    [TestMethod]
    public async Task AModelWithAChatTemplateAndNoOtherSpeaksIt()
    {
        using SorsaTransformer model = s_ml.Sorsa().LoadModel(
            TestData.Require(TestData.SmolLM2), generation: new() { MaxNewTokens = 8 });
        using SorsaTransformer named = s_ml.Sorsa().LoadModel(
            TestData.SmolLM2, promptTemplate: PromptTemplate.Chat, generation: new() { MaxNewTokens = 8 });
        using IChatClient client = model.AsChatClient(), alpaca = model.AsChatClient(new() { Template = PromptTemplate.Alpaca });

        ChatResponse response = await client.GetResponseAsync("What is 2 + 2?");

        Assert.AreEqual(named.Generate("What is 2 + 2?"), response.Text);
        Assert.AreEqual(model.Generate("What is 2 + 2?"), (await alpaca.GetResponseAsync("What is 2 + 2?")).Text);
    }

    [TestMethod]
    public void ItSaysWhatItIs()
    {
        using IChatClient client = s_model.Value.AsChatClient(new() { ModelId = "tiny" });
        ChatClientMetadata metadata = client.GetService<ChatClientMetadata>()!;

        Assert.AreEqual("sorsa", metadata.ProviderName);
        Assert.AreEqual("tiny", metadata.DefaultModelId);
        Assert.AreSame(s_model.Value, client.GetService<SorsaTransformer>());
        Assert.AreSame(client, client.GetService<IChatClient>());
        Assert.IsNull(client.GetService<IChatClient>("key"));
        Assert.IsNull(client.GetService<MLContext>());
    }

    internal static SorsaTransformer Load(GenerationOptions? generation = null) =>
        s_ml.Sorsa().LoadModel(TestData.TinyLlama, generation: generation ?? new GenerationOptions { MaxNewTokens = 40 });
}
