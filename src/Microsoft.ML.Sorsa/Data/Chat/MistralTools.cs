using System.Text.Json;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>
/// Tools in the formats of Mistral: what may be called stands before the last message of the user, calls and results between marks.
/// </summary>
/// <param name="space">What stands behind a mark.</param>
internal sealed class MistralTools(string space)
{
    private const string CallMark = "[TOOL_CALLS]";

    public static ToolFormat Format { get; } =
        new([CallMark], letter => letter == '[', calls => ToolCallJson.Read(calls[CallMark.Length..], JsonValueKind.Array, "arguments"));

    /// <summary>What may be called. Only strings stand in it as they are, not escaped: so does the template.</summary>
    public TemplatedText Offer(IReadOnlyList<ChatTool> tools)
    {
        TemplatedText text = new TemplatedText().Append($"[AVAILABLE_TOOLS]{space}[");
        foreach ((int at, ChatTool tool) in tools.Index())
        {
            text.Append(at > 0 ? ", " : "").Append("""{"type": "function", "function": {"name": """).Append("\"")
                .AppendContent(tool.Name).Append("\", \"description\": \"").AppendContent(tool.Description)
                .Append("\", \"parameters\": ").AppendContent(JinjaJson.Write(tool.Parameters)).Append("}}");
        }

        return text.Append("][/AVAILABLE_TOOLS]");
    }

    /// <summary>An assistant's message that calls; its other content is left out.</summary>
    public TemplatedText Calls(ChatMessage message, string end)
    {
        TemplatedText text = new TemplatedText().Append($"{CallMark}{space}[");
        foreach ((int at, ChatToolCall call) in message.ToolCalls.Index())
        {
            text.Append(at > 0 ? ", " : "").Append("""{"name": """).AppendContent(JinjaJson.Write(call.Name))
                .Append(", \"arguments\": ").AppendContent(JinjaJson.Write(call.Arguments))
                .Append(", \"id\": \"").AppendContent(Verified(call.Id)).Append("\"}");
        }

        return text.Append("]" + end);
    }

    /// <summary>A tool's message.</summary>
    public TemplatedText Result(ChatMessage message) => new TemplatedText()
        .Append($"[TOOL_RESULTS]{space}").Append("""{"content": """).AppendContent(message.Content).Append(", \"call_id\": \"")
        .AppendContent(Verified(message.ToolCallId)).Append("\"}[/TOOL_RESULTS]");

    private static string Verified(string? id) => id is { Length: 9 }
        ? id
        : throw new InvalidDataException("Tool call IDs should be alphanumeric strings with length 9!");
}
