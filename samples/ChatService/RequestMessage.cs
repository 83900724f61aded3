using System.Text.Json;
using Microsoft.Extensions.AI;

namespace ChatService;

/// <summary>One of a request's messages, in OpenAI's form.</summary>
internal sealed record RequestMessage
{
    public required string Role { get; init; }

    /// <summary>A text, a list of parts, or null where an answer held calls alone.</summary>
    public JsonElement? Content { get; init; }

    /// <summary>What an answer called.</summary>
    public IReadOnlyList<RequestedCall>? ToolCalls { get; init; }

    /// <summary>Which call a tool's message answers.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>Who of several speaks: templates have no place for it.</summary>
    public string? Name { get; init; }

    /// <summary>What OpenAI's own models would not say; null here.</summary>
    public string? Refusal { get; init; }

    public JsonElement? Annotations { get; init; }

    /// <exception cref="RequestException">It is not of that form.</exception>
    public ChatMessage ToChatMessage(int index)
    {
        string place = $"messages[{index}]";
        ChatRole role = Role switch
        {
            // What newer models call it.
            "system" or "developer" => ChatRole.System,
            "user" => ChatRole.User,
            "assistant" => ChatRole.Assistant,
            "tool" => ChatRole.Tool,
            _ => throw Error($"{place}.role is '{Role}'; it must be system, developer, user, assistant or tool."),
        };
        string text = Text(place);
        if (role == ChatRole.Tool)
        {
            return new ChatMessage(role, [new FunctionResultContent(
                ToolCallId ?? throw Error($"{place} is a tool's and has no tool_call_id; say which call it answers."), text)]);
        }

        List<AIContent> contents = text.Length > 0 || ToolCalls is null ? [new TextContent(text)] : [];
        contents.AddRange((ToolCalls ?? []).Select(call => call.ToContent(place)));
        return new ChatMessage(role, contents);
    }

    private string Text(string place) => Content switch
    {
        null or { ValueKind: JsonValueKind.Null } when ToolCalls is not null => "",
        { ValueKind: JsonValueKind.String } text => text.GetString()!,
        { ValueKind: JsonValueKind.Array } parts => string.Concat(parts.EnumerateArray().Select(part => PartText(part, place))),
        _ => throw Error($"{place}.content must be a text or a list of text parts."),
    };

    private static string PartText(JsonElement part, string place) =>
        part.ValueKind == JsonValueKind.Object
        && part.TryGetProperty("type", out JsonElement type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("text")
        && part.TryGetProperty("text", out JsonElement text) && text.ValueKind == JsonValueKind.String
        ? text.GetString()!
        : throw Error($"{place}.content has a part that is no text; the model reads text alone.");

    private static RequestException Error(string message) => new(message, "messages");

    internal sealed record RequestedCall
    {
        public required string Id { get; init; }

        public required string Type { get; init; }

        public required CalledFunction Function { get; init; }

        /// <summary>Its place among the calls, where a stream's pieces are sent back.</summary>
        public int? Index { get; init; }

        public FunctionCallContent ToContent(string place)
        {
            try
            {
                JsonElement arguments = JsonSerializer.Deserialize<JsonElement>(Function.Arguments);
                CompletionRequest.RequireUnicode(arguments);
                return new FunctionCallContent(Id, Function.Name, arguments.Deserialize<Dictionary<string, object?>>()
                    ?? throw new JsonException("it is null"));
            }
            catch (JsonException e)
            {
                throw Error($"{place}.tool_calls has arguments of {Function.Name} that are no JSON object: {e.Message}");
            }
        }
    }
}
