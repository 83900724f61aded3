using System.ClientModel;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using OpenAI;
using OpenAI.Chat;

namespace Microsoft.ML.Sorsa.Tests.ChatService;

/// <summary>The sample service, asked by OpenAI's own client and by plain HTTP.</summary>
[TestClass]
[TestCategory("Chat")]
[TestCategory("Samples")]
public sealed class ChatServiceTests
{
    private const string Model = "tiny-llama-math";
    private const string Question = "Mia has 12 apples. She buys 5 more.";

    private static ServiceProcess? s_service;

    private static ServiceProcess Service => s_service ??= new ServiceProcess();

    public required TestContext TestContext { get; init; }

    [ClassCleanup]
    public static void End() => s_service?.Dispose();

    [TestMethod]
    public async Task OpenAIsClientGetsWhatTheModelGenerates()
    {
        var options = new ChatCompletionOptions { MaxOutputTokenCount = 40, Temperature = 0 };

        ChatCompletion whole = (await Client().CompleteChatAsync(
            [new UserChatMessage(Question)], options, TestContext.CancellationToken)).Value;
        var text = new StringBuilder();
        ChatFinishReason? reason = null;
        int tokens = 0;
        await foreach (StreamingChatCompletionUpdate update in Client().CompleteChatStreamingAsync(
            [new UserChatMessage(Question)], options, TestContext.CancellationToken))
        {
            string piece = string.Concat(update.ContentUpdate.Select(part => part.Text));
            Assert.IsTrue(reason is null || piece.Length == 0, "a piece came behind the reason to end");
            text.Append(piece);
            reason = update.FinishReason ?? reason;
            tokens = update.Usage?.OutputTokenCount ?? tokens;
        }

        using SorsaTransformer model = new MLContext().Sorsa().LoadModel(
            TestData.TinyLlama, promptTemplate: PromptTemplate.Format("{prompt}"),
            generation: new GenerationOptions { MaxNewTokens = 40 });
        string expected = model.Generate(Question);
        Assert.AreEqual(expected, whole.Content[0].Text);
        Assert.AreEqual(expected, text.ToString());
        Assert.AreEqual(ChatFinishReason.Stop, reason);
        Assert.AreEqual(ChatFinishReason.Stop, whole.FinishReason);
        Assert.AreEqual(Model, whole.Model);
        Assert.AreEqual(whole.Usage.OutputTokenCount, tokens);
        Assert.AreEqual(whole.Usage.TotalTokenCount, whole.Usage.InputTokenCount + whole.Usage.OutputTokenCount);
    }

    [TestMethod]
    public async Task ManyCallersAtOnceGetWhatEachGetsAlone()
    {
        string[] questions = [.. Enumerable.Range(3, 12).Select(count => $"Tom has {count} marbles. He finds 4 more.")];
        var options = new ChatCompletionOptions { MaxOutputTokenCount = 24, Temperature = 0 };
        ChatClient client = Client();
        Task<string> Ask(string question) => Task.Run(async () => (await client.CompleteChatAsync(
            [new UserChatMessage(question)], options, TestContext.CancellationToken)).Value.Content[0].Text);

        string[] together = await Task.WhenAll(questions.Select(Ask));

        for (int i = 0; i < questions.Length; i++)
        {
            Assert.AreEqual(await Ask(questions[i]), together[i]);
        }
    }

    [TestMethod]
    public async Task TheModelIsListedAndHealthy()
    {
        using var http = new HttpClient { BaseAddress = new Uri(Service.Address) };

        JsonElement models = await http.GetFromJsonAsync<JsonElement>("v1/models", TestContext.CancellationToken);

        Assert.AreEqual(Model, models.GetProperty("data")[0].GetProperty("id").GetString());
        Assert.AreEqual("Healthy", await http.GetStringAsync("health", TestContext.CancellationToken));
    }

    [TestMethod]
    [DataRow("""{"model": "MODEL", "messages": [], "n": 1}""", 400, "messages is empty")]
    [DataRow("""{"model": "MODEL"}""", 400, "messages")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "n": 2}""", 400, "n is 2; one answer is given")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "logprobs": true}""", 400, "log-probabilities are not given")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "logit_bias": {"5": 1}}""", 400, "logit_bias")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "temperature": -1}""", 400, "Temperature is -1")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "temperature": -1, "stream": true}""", 400, "Temperature is -1")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "stop": 7}""", 400, "stop must be a text or a list of texts")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "stop": ["a", 7]}""", 400, "stop must be a text or a list of texts")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "response_format": {"type": "json_object"}}""", 400, "ResponseFormat asks for JSON")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "response_format": {"type": "xml"}}""", 400, "response_format.type is 'xml'")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "tool_choice": "perhaps"}""", 400, "tool_choice is 'perhaps'")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "tools": [{"type": "function", "function": {"name": "f"}}]}""", 400, "for tools")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "tools": [{"type": "web", "function": {"name": "add"}}]}""", 400, "type is 'web'")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "poet", "content": "x"}]}""", 400, "messages[0].role is 'poet'")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "user", "content": 5}]}""", 400, "messages[0].content must be a text")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "user"}]}""", 400, "messages[0].content must be a text")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}""", 400, "a part that is no text")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "tool", "content": "4"}]}""", 400, "has no tool_call_id")]
    [DataRow("""{"model": "MODEL", "messages": [7]}""", 400, "messages[0]")]
    [DataRow("""{"model": "other", "messages": ASK}""", 404, "The model is 'other'; here is 'MODEL'.")]
    [DataRow("""{"model": null, "messages": ASK}""", 400, "model")]
    [DataRow("""{"model": "MODEL", "messages": null}""", 400, "messages")]
    [DataRow("""{"model": "MODEL", "messages": [null]}""", 400, "messages has a null among its elements")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": null, "content": "x"}]}""", 400, "role")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "user", "content": [null]}]}""", 400, "a part that is no text")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "assistant", "tool_calls": [null]}]}""", 400, ".tool_calls has a null")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "assistant", "tool_calls": [CALL null}]}]}""", 400, "function")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "assistant", "tool_calls": [CALL {"name": "f", "arguments": "null"}}]}]}""",
        400, "arguments of f that are no JSON object")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "assistant", "tool_calls": """
        + """[CALL {"name": "f", "arguments": "{\"a\": [\"\\ud800\"]}"}}]}]}""",
        400, "no valid Unicode")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "tools": [null]}""", 400, "tools has a null among its elements")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "tools": [{"type": "function", "function": null}]}""", 400, "function")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "tools": [{"type": "function", "function": {"name": null}}]}""", 400, "name")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "tools": [{"type": "function", "function": {"name": ""}}]}""", 400, "name is empty")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "tools": [{"type": "function", "function": {"name": "f", "parameters": 5}}]}""",
        400, "")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "tool_choice": {"function": {"name": ""}}}""", 400, "")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "stop": [null]}""", 400, "stop must be a text or a list of texts")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "response_format": 5}""", 400, "response_format must be an object")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "user", "content": "\ud800"}]}""", 400, "no valid Unicode")]
    [DataRow("""{"model": "MODEL", "messages": [{"role": "user", "content": [{"type": "text", "text": "\udc00"}]}]}""",
        400, "no valid Unicode")]
    [DataRow("""{"model": "\ud800", "messages": ASK}""", 400, "no valid Unicode")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "stop": "\ud800"}""", 400, "no valid Unicode")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "tool_choice": "\ud800"}""", 400, "no valid Unicode")]
    [DataRow("""{"model": "MODEL", "messages": ASK, "\ud800": 1}""", 400, "no valid Unicode")]
    [DataRow("""[1, 2]""", 400, "no request of chat completions")]
    [DataRow("""null""", 400, "null")]
    [DataRow("""not JSON""", 400, "no request of chat completions")]
    [DataRow("", 400, "no request of chat completions")]
    public async Task WhatCannotBeAnsweredIsRefusedAsOpenAIDoes(string body, int status, string message)
    {
        using var http = new HttpClient { BaseAddress = new Uri(Service.Address) };
        using var content = new StringContent(
            body.Replace("MODEL", Model, StringComparison.Ordinal)
                .Replace("CALL", """{"id": "123456789", "type": "function", "function": """, StringComparison.Ordinal)
                .Replace("ASK", """[{"role": "user", "content": "Hello"}]""", StringComparison.Ordinal),
            Encoding.UTF8, "application/json");

        using HttpResponseMessage response = await http.PostAsync("v1/chat/completions", content, TestContext.CancellationToken);

        Assert.AreEqual(status, (int)response.StatusCode);
        JsonElement error = (await response.Content.ReadFromJsonAsync<JsonElement>(TestContext.CancellationToken)).GetProperty("error");
        Assert.Contains(message.Replace("MODEL", Model, StringComparison.Ordinal), error.GetProperty("message").GetString()!);
        Assert.AreEqual("invalid_request_error", error.GetProperty("type").GetString());
        Assert.DoesNotContain("   at ", Service.Output);
    }

    [TestMethod]
    public async Task ABodyThatIsTooLargeIsRefused()
    {
        using var http = new HttpClient { BaseAddress = new Uri(Service.Address) };
        using var content = new StringContent(
            $$"""{"model": "{{Model}}", "messages": [{"role": "user", "content": "{{new string('x', 5 << 20)}}"}]}""",
            Encoding.UTF8, "application/json");

        // The answer is waited for before the body is sent: the service closes the connection.
        http.DefaultRequestHeaders.ExpectContinue = true;
        using HttpResponseMessage response = await http.PostAsync("v1/chat/completions", content, TestContext.CancellationToken);

        Assert.AreEqual(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
    }

    /// <summary>What a page of any site may have a browser send unasked: it gets no answer, and no work is done.</summary>
    [TestMethod]
    [DataRow("text/plain")]
    [DataRow("application/x-www-form-urlencoded")]
    [DataRow(null)]
    public async Task ABodyOfAnotherTypeIsRefused(string? type)
    {
        using var http = new HttpClient { BaseAddress = new Uri(Service.Address) };
        using var content = new StringContent($$"""{"model": "{{Model}}", "messages": [{"role": "user", "content": "Hello"}]}""");
        content.Headers.ContentType = type is null ? null : new MediaTypeHeaderValue(type);

        using HttpResponseMessage response = await http.PostAsync("v1/chat/completions", content, TestContext.CancellationToken);

        Assert.AreEqual(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        JsonElement error = (await response.Content.ReadFromJsonAsync<JsonElement>(TestContext.CancellationToken)).GetProperty("error");
        Assert.AreEqual($"The Content-Type is '{type}'; it must be application/json.", error.GetProperty("message").GetString());
    }

    /// <summary>On loopback a name that somebody else's DNS leads there is refused, at every door.</summary>
    [TestMethod]
    [DataRow("evil.example", HttpStatusCode.BadRequest)]
    [DataRow("evil.example:5080", HttpStatusCode.BadRequest)]
    [DataRow("localhost.evil.example", HttpStatusCode.BadRequest)]
    [DataRow("localhost:5080", HttpStatusCode.OK)]
    [DataRow("127.0.0.1", HttpStatusCode.OK)]
    [DataRow("[::1]:5080", HttpStatusCode.OK)]
    public async Task AnotherHostIsRefused(string host, HttpStatusCode status)
    {
        using var http = new HttpClient { BaseAddress = new Uri(Service.Address) };
        http.DefaultRequestHeaders.Host = host;
        foreach (string door in (string[])["v1/models", "health", "index.html"])
        {
            using HttpResponseMessage response = await http.GetAsync(door, TestContext.CancellationToken);
            Assert.AreEqual(status, response.StatusCode, door);
        }
    }

    /// <summary>OpenTelemetry's protocol over HTTP: a collector gets a span for the chat, with the model's name and the tokens.</summary>
    [TestMethod]
    public async Task ACollectorGetsTheTraces()
    {
        using var listener = new HttpListener();
        string collector = $"http://127.0.0.1:{FreePort()}";
        listener.Prefixes.Add(collector + "/");
        listener.Start();
        using var service = new ServiceProcess("--otlp", collector, "--name", "traced");
        await Client(service.Address, "traced").CompleteChatAsync([new UserChatMessage(Question)], null, TestContext.CancellationToken);

        string traces;
        do
        {
            HttpListenerContext request = await listener.GetContextAsync()
                .WaitAsync(TimeSpan.FromMinutes(1), TestContext.CancellationToken);
            using var body = new MemoryStream();
            await request.Request.InputStream.CopyToAsync(body, TestContext.CancellationToken);
            traces = $"{request.Request.Url!.AbsolutePath} {Encoding.Latin1.GetString(body.ToArray())}";
            request.Response.Close();
        }
        while (!traces.StartsWith("/v1/traces ", StringComparison.Ordinal));

        Assert.Contains("chat traced", traces);
        Assert.Contains("gen_ai.usage.output_tokens", traces);
        Assert.Contains("POST /v1/chat/completions", traces);
    }

    [TestMethod]
    public void APortThatIsTakenIsOneLine()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();

        (int code, string output) = ServiceProcess.Run("--url", $"http://{taken.LocalEndpoint}");

        Assert.AreEqual(1, code);
        Assert.HasCount(1, output.Trim().Split('\n'), output);
        Assert.Contains($"{taken.LocalEndpoint}: address already in use. Choose another port with --url", output);
    }

    [TestMethod]
    [DataRow("--url", "ftp://127.0.0.1", "--url is 'ftp://127.0.0.1'; it must be an address such as")]
    [DataRow("--url", "http://203.0.113.1:5080", "--url is 'http://203.0.113.1:5080/', where this service cannot listen")]
    [DataRow("--url", "5080", "--url is '5080'; it must be an address such as")]
    [DataRow("--otlp", "collector", "--otlp is 'collector'; it must be an address such as")]
    [DataRow("--model", "nowhere", "--model is 'nowhere', and there is no such file or folder")]
    [DataRow("--max-new-tokens", "0", "--max-new-tokens is 0; it must be at least 1")]
    [DataRow("--template", "hello", "must contain {prompt} at least once")]
    [DataRow("--template", "chat", "chat template")]
    public void WhatIsWrongWithAnArgumentIsSaid(string option, string value, string message)
    {
        (int code, string output) = ServiceProcess.Run(option, value);

        Assert.AreEqual(1, code, output);
        Assert.Contains(message, output);
        Assert.DoesNotContain("   at ", output);
    }

    private static ChatClient Client() => Client(Service.Address, Model);

    private static ChatClient Client(string address, string model) => new(
        model, new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri($"{address}/v1") });

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
