using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.AI;

namespace ChatService;

/// <summary>What /v1/chat/completions answers: an answer whole, or a chunk of one.</summary>
internal sealed record CompletionResponse
{
    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    public required string Id { get; init; }

    public required string Object { get; init; }

    /// <summary>Seconds since 1970.</summary>
    public required long Created { get; init; }

    public required string Model { get; init; }

    public required IReadOnlyList<Choice> Choices { get; init; }

    public TokenUsage? Usage { get; init; }

    public static CompletionResponse Of(ChatResponse response, string model) => new()
    {
        Id = $"chatcmpl-{response.ResponseId}",
        Object = "chat.completion",
        Created = Seconds(response.CreatedAt),
        Model = model,
        Choices =
        [
            new Choice
            {
                Message = new AnswerMessage
                {
                    Role = "assistant",
                    Content = response.Text,
                    ToolCalls = Calls(response.Messages.SelectMany(message => message.Contents)),
                },
                FinishReason = Reason(response.FinishReason) ?? "stop",
            },
        ],
        Usage = TokenUsage.Of(response.Usage),
    };

    /// <summary>A chunk, and where it holds the usage one more behind it, as OpenAI sends them.</summary>
    /// <param name="update">A piece of an answer.</param>
    /// <param name="model">As the request names it.</param>
    /// <param name="isFirst">Whether no chunk came before it.</param>
    /// <param name="calls">How many calls came before it: clients put the chunks of an answer together by the calls' numbers.</param>
    /// <param name="includeUsage">Whether the request asks for it.</param>
    public static IEnumerable<CompletionResponse> Of(
        ChatResponseUpdate update, string model, bool isFirst, int calls, bool includeUsage)
    {
        var chunk = new CompletionResponse
        {
            Id = $"chatcmpl-{update.ResponseId}",
            Object = "chat.completion.chunk",
            Created = Seconds(update.CreatedAt),
            Model = model,
            Choices =
            [
                new Choice
                {
                    Delta = new AnswerMessage
                    {
                        Role = isFirst ? "assistant" : null,
                        Content = update.Text is { Length: > 0 } text ? text : null,
                        ToolCalls = Calls(update.Contents, calls),
                    },
                    FinishReason = Reason(update.FinishReason),
                },
            ],
        };
        yield return chunk;
        if (includeUsage && update.Contents.OfType<UsageContent>().FirstOrDefault() is { } usage)
        {
            yield return chunk with { Choices = [], Usage = TokenUsage.Of(usage.Details) };
        }
    }

    private static long Seconds(DateTimeOffset? time) => (time ?? DateTimeOffset.UtcNow).ToUnixTimeSeconds();

    private static string? Reason(ChatFinishReason? reason) => reason?.Value;

    private static List<ToolCall>? Calls(IEnumerable<AIContent> contents, int first = 0)
    {
        List<ToolCall> calls =
        [
            .. contents.OfType<FunctionCallContent>().Select((call, index) => new ToolCall
            {
                Index = first + index,
                Id = call.CallId,
                Function = new CalledFunction { Name = call.Name, Arguments = JsonSerializer.Serialize(call.Arguments) },
            }),
        ];
        return calls.Count > 0 ? calls : null;
    }
}

internal sealed record Choice
{
    public int Index { get; init; }

    public AnswerMessage? Message { get; init; }

    public AnswerMessage? Delta { get; init; }

    /// <summary>Null in a chunk that is not the last one, and written all the same.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? FinishReason { get; init; }
}

internal sealed record AnswerMessage
{
    public string? Role { get; init; }

    public string? Content { get; init; }

    public IReadOnlyList<ToolCall>? ToolCalls { get; init; }
}

internal sealed record ToolCall
{
    public required int Index { get; init; }

    public required string Id { get; init; }

    public string Type { get; } = "function";

    public required CalledFunction Function { get; init; }
}

internal sealed record CalledFunction
{
    public required string Name { get; init; }

    /// <summary>JSON, as a text.</summary>
    public required string Arguments { get; init; }
}

internal sealed record TokenUsage
{
    public required long PromptTokens { get; init; }

    public required long CompletionTokens { get; init; }

    public required long TotalTokens { get; init; }

    public required PromptDetails PromptTokensDetails { get; init; }

    public static TokenUsage? Of(UsageDetails? usage) => usage is null ? null : new TokenUsage
    {
        PromptTokens = usage.InputTokenCount ?? 0,
        CompletionTokens = usage.OutputTokenCount ?? 0,
        TotalTokens = usage.TotalTokenCount ?? 0,
        PromptTokensDetails = new PromptDetails { CachedTokens = usage.CachedInputTokenCount ?? 0 },
    };

    /// <summary>Of the prompt's tokens those whose keys and values were there from an earlier turn.</summary>
    internal sealed record PromptDetails
    {
        public required long CachedTokens { get; init; }
    }
}
