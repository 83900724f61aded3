using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.AI;

namespace ChatService;

/// <summary>The body of a request to /v1/chat/completions. What is not here would be ignored, and is refused.</summary>
internal sealed record CompletionRequest
{
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        PropertyNameCaseInsensitive = false,
        NumberHandling = JsonNumberHandling.Strict,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
    };

    public required string Model { get; init; }

    public required IReadOnlyList<RequestMessage> Messages { get; init; }

    public int? MaxTokens { get; init; }

    public int? MaxCompletionTokens { get; init; }

    public float? Temperature { get; init; }

    public float? TopP { get; init; }

    /// <summary>Not OpenAI's, but of many servers that speak like theirs.</summary>
    public int? TopK { get; init; }

    public long? Seed { get; init; }

    public float? FrequencyPenalty { get; init; }

    public float? PresencePenalty { get; init; }

    /// <summary>A text, or a list of texts.</summary>
    public JsonElement? Stop { get; init; }

    public bool? Stream { get; init; }

    public StreamSettings? StreamOptions { get; init; }

    public IReadOnlyList<Tool>? Tools { get; init; }

    /// <summary>none, auto, required, or a function by name.</summary>
    public JsonElement? ToolChoice { get; init; }

    public bool? ParallelToolCalls { get; init; }

    public JsonElement? ResponseFormat { get; init; }

    /// <summary>How many answers: one.</summary>
    public int? N { get; init; }

    public bool? Logprobs { get; init; }

    // Who asks, and what OpenAI keeps of it: nothing to do with the answer.
    public string? User { get; init; }

    public string? SafetyIdentifier { get; init; }

    public JsonElement? Metadata { get; init; }

    public bool? Store { get; init; }

    public string? ServiceTier { get; init; }

    /// <exception cref="RequestException">It is no JSON, or not of this form.</exception>
    public static async Task<CompletionRequest> Read(Stream body, CancellationToken cancellationToken)
    {
        try
        {
            JsonElement json = await JsonSerializer.DeserializeAsync<JsonElement>(body, s_json, cancellationToken);
            RequireUnicode(json);
            CompletionRequest request = json.Deserialize<CompletionRequest>(s_json)
                ?? throw new RequestException("The body is null; it must be an object with model and messages.");
            RefuseNull(request.Messages, "messages");
            RefuseNull(request.Tools, "tools");
            foreach (RequestMessage message in request.Messages)
            {
                RefuseNull(message.ToolCalls, "messages", ".tool_calls");
            }

            return request;
        }
        catch (JsonException e)
        {
            throw new RequestException($"The body is no request of chat completions that this service knows: {e.Message}");
        }
    }

    /// <summary>JSON may hold halves of a character and bytes that are none; .NET says so only where the text is read.</summary>
    /// <exception cref="JsonException">It has such a text.</exception>
    public static void RequireUnicode(JsonElement json)
    {
        try
        {
            Read(json);
        }
        catch (InvalidOperationException e)
        {
            throw new JsonException($"a text in it is no valid Unicode: {e.Message}");
        }

        static void Read(JsonElement value)
        {
            switch (value.ValueKind)
            {
                case JsonValueKind.String:
                    _ = value.GetString();
                    break;
                case JsonValueKind.Array:
                    foreach (JsonElement item in value.EnumerateArray())
                    {
                        Read(item);
                    }

                    break;
                case JsonValueKind.Object:
                    foreach (JsonProperty property in value.EnumerateObject())
                    {
                        _ = property.Name;
                        Read(property.Value);
                    }

                    break;
            }
        }
    }

    /// <summary>What the annotations do not say of a list: that none of its places is empty.</summary>
    private static void RefuseNull(IReadOnlyList<object?>? list, string parameter, string member = "") => Refuse(
        list?.Contains(null) is true, parameter, $"{parameter}{member} has a null among its elements; each must be an object.");

    /// <exception cref="RequestException">A message is not of OpenAI's form.</exception>
    public IReadOnlyList<ChatMessage> Conversation() => Messages.Count > 0
        ? [.. Messages.Select((message, index) => message.ToChatMessage(index))]
        : throw new RequestException("messages is empty; at least one message of the user is needed.", "messages");

    /// <exception cref="RequestException">Something is asked for that this service does not do.</exception>
    public ChatOptions Options()
    {
        Refuse(N is not null and not 1, "n", $"n is {N}; one answer is given. Leave it out, and ask once more for another.");
        Refuse(Logprobs is true, "logprobs", "logprobs is true; log-probabilities are not given. Leave it out.");
        return new ChatOptions
        {
            MaxOutputTokens = MaxCompletionTokens ?? MaxTokens,
            Temperature = Temperature,
            TopP = TopP,
            TopK = TopK,
            Seed = Seed,
            FrequencyPenalty = FrequencyPenalty,
            PresencePenalty = PresencePenalty,
            StopSequences = StopTexts(),
            ResponseFormat = Format(),
            Tools = Tools is { Count: > 0 } ? [.. Tools.Select(tool => tool.Declare())] : null,
            ToolMode = Mode(),
            AllowMultipleToolCalls = ParallelToolCalls,
        };
    }

    private List<string>? StopTexts() => Stop switch
    {
        null or { ValueKind: JsonValueKind.Null } => null,
        { ValueKind: JsonValueKind.String } text => [text.GetString()!],
        { ValueKind: JsonValueKind.Array } texts when texts.EnumerateArray().All(text => text.ValueKind == JsonValueKind.String) =>
            [.. texts.EnumerateArray().Select(text => text.GetString()!)],
        _ => throw new RequestException("stop must be a text or a list of texts.", "stop"),
    };

    private ChatResponseFormat? Format() => ResponseFormat switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } format => Word(format, "type") switch
        {
            "text" => ChatResponseFormat.Text,
            "json_object" or "json_schema" => ChatResponseFormat.Json,
            var type => throw new RequestException(
                $"response_format.type is '{type}'; it must be text, json_object or json_schema.", "response_format"),
        },
        _ => throw new RequestException("response_format must be an object with a type.", "response_format"),
    };

    private ChatToolMode? Mode() => ToolChoice switch
    {
        null or { ValueKind: JsonValueKind.Null } => null,
        { ValueKind: JsonValueKind.String } word => word.GetString() switch
        {
            "none" => ChatToolMode.None,
            "auto" => ChatToolMode.Auto,
            "required" => ChatToolMode.RequireAny,
            var other => throw new RequestException($"tool_choice is '{other}'; it must be none, auto or required.", "tool_choice"),
        },
        { ValueKind: JsonValueKind.Object } named when named.TryGetProperty("function", out JsonElement function)
            && function.ValueKind == JsonValueKind.Object && Word(function, "name") is { } name => ChatToolMode.RequireSpecific(name),
        _ => throw new RequestException("tool_choice must be none, auto, required, or a function by its name.", "tool_choice"),
    };

    private static string? Word(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement word) && word.ValueKind == JsonValueKind.String ? word.GetString() : null;

    private static void Refuse(bool wrong, string parameter, string message)
    {
        if (wrong)
        {
            throw new RequestException(message, parameter);
        }
    }

    internal sealed record StreamSettings
    {
        public bool? IncludeUsage { get; init; }

        /// <summary>Padding against an onlooker: none is added.</summary>
        public bool? IncludeObfuscation { get; init; }
    }

    internal sealed record Tool
    {
        public required string Type { get; init; }

        public required FunctionTool Function { get; init; }

        public AIFunctionDeclaration Declare()
        {
            Refuse(Type != "function", "tools", $"A tool's type is '{Type}'; it must be function.");
            Refuse(string.IsNullOrWhiteSpace(Function.Name), "tools", "A tool's function.name is empty; say what it is called.");
            return AIFunctionFactory.CreateDeclaration(Function.Name, Function.Description ?? "", Function.Parameters ?? EmptySchema);
        }

        private static JsonElement EmptySchema => JsonSerializer.SerializeToElement(new { type = "object" });
    }

    internal sealed record FunctionTool
    {
        public required string Name { get; init; }

        public string? Description { get; init; }

        public JsonElement? Parameters { get; init; }

        /// <summary>Whether calls must keep to the schema, which is asked of the model and not enforced.</summary>
        public bool? Strict { get; init; }
    }
}
