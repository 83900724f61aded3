using System.Text.Json;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>
/// Tools in the format of Mistral v0.3: what may be called stands before the last message of the user, calls and results between marks.
/// </summary>
internal static class MistralTools
{
    private const string CallMark = "[TOOL_CALLS]";

    /// <summary>Of two values of a name neither is what the model meant.</summary>
    private static readonly JsonDocumentOptions s_json = new() { AllowDuplicateProperties = false };

    public static ToolFormat Format { get; } = new([CallMark], Read);

    /// <summary>What may be called. Only strings stand in it as they are, not escaped: so does the template.</summary>
    public static TemplatedText Offer(IReadOnlyList<ChatTool> tools)
    {
        TemplatedText text = new TemplatedText().Append("[AVAILABLE_TOOLS] [");
        foreach ((int at, ChatTool tool) in tools.Index())
        {
            text.Append(at > 0 ? ", " : "").Append("""{"type": "function", "function": {"name": """).Append("\"")
                .AppendContent(tool.Name).Append("\", \"description\": \"").AppendContent(tool.Description)
                .Append("\", \"parameters\": ").AppendContent(JinjaJson.Write(tool.Parameters)).Append("}}");
        }

        return text.Append("][/AVAILABLE_TOOLS]");
    }

    /// <summary>An assistant's message that calls; its other content is left out.</summary>
    public static TemplatedText Calls(ChatMessage message, string end)
    {
        TemplatedText text = new TemplatedText().Append($"{CallMark} [");
        foreach ((int at, ChatToolCall call) in message.ToolCalls.Index())
        {
            text.Append(at > 0 ? ", " : "").Append("""{"name": """).AppendContent(JinjaJson.Write(call.Name))
                .Append(", \"arguments\": ").AppendContent(JinjaJson.Write(call.Arguments))
                .Append(", \"id\": \"").AppendContent(Verified(call.Id)).Append("\"}");
        }

        return text.Append("]" + end);
    }

    /// <summary>A tool's message.</summary>
    public static TemplatedText Result(ChatMessage message) => new TemplatedText()
        .Append("""[TOOL_RESULTS] {"content": """).AppendContent(message.Content).Append(", \"call_id\": \"")
        .AppendContent(Verified(message.ToolCallId)).Append("\"}[/TOOL_RESULTS]");

    private static string Verified(string? id) => id is { Length: 9 }
        ? id
        : throw new InvalidDataException("Tool call IDs should be alphanumeric strings with length 9!");

    private static IReadOnlyList<ChatToolCall>? Read(string answer)
    {
        string json = answer.TrimStart()[CallMark.Length..];
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, s_json);
            return document.RootElement.ValueKind != JsonValueKind.Array
                ? null
                : [.. document.RootElement.EnumerateArray().Select(ReadCall)];
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <exception cref="JsonException">It is no call that can be made and sent back in the next turn.</exception>
    private static ChatToolCall ReadCall(JsonElement call)
    {
        JsonElement arguments = call.GetProperty("arguments");
        if (arguments.ValueKind != JsonValueKind.Object || call.GetProperty("name").GetString() is not { Length: > 0 } name)
        {
            throw new JsonException("A call needs a name, and arguments that are an object.");
        }

        // A text that is no Unicode shows only where it is read.
        JinjaJson.Write(arguments);
        return new ChatToolCall(
            call.TryGetProperty("id", out JsonElement id) && id.ValueKind == JsonValueKind.String ? id.GetString() : null,
            name, arguments.Clone());
    }
}
