using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Data.Chat;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using TemplateMessage = Microsoft.ML.Sorsa.Data.Chat.ChatMessage;

namespace Microsoft.ML.Sorsa.Chat;

/// <summary>From the messages and tools of Microsoft.Extensions.AI to those that chat templates have.</summary>
internal static class ConversationReader
{
    private const string SystemRole = "system";

    /// <summary>All messages, one or more for each; instructions go in front of the system message, or are one.</summary>
    /// <exception cref="NotSupportedException">There is something else in them than text, calls and results.</exception>
    public static IReadOnlyList<TemplateMessage> Messages(IEnumerable<ChatMessage> messages, string? instructions)
    {
        List<TemplateMessage> read = [.. messages.SelectMany(Read)];
        if (!string.IsNullOrEmpty(instructions))
        {
            if (read.Count > 0 && read[0].Role == SystemRole)
            {
                read[0] = read[0] with { Content = $"{instructions}\n\n{read[0].Content}" };
            }
            else
            {
                read.Insert(0, new TemplateMessage(SystemRole, instructions));
            }
        }

        return read;
    }

    /// <summary>What the model may call.</summary>
    /// <exception cref="NotSupportedException">A tool that is no function.</exception>
    public static IReadOnlyList<ChatTool> Tools(IEnumerable<AITool> tools) => [.. tools.Select(tool =>
        tool is AIFunctionDeclaration function
        ? new ChatTool(function.Name, function.Description, function.JsonSchema)
        : throw new NotSupportedException(
            $"The tool '{tool.Name}' is a {tool.GetType().Name}, which a service would have to host; this client offers functions "
            + "(AIFunctionFactory.Create). Leave it out."))];

    private static IEnumerable<TemplateMessage> Read(ChatMessage message)
    {
        var text = new StringBuilder();
        var calls = new List<ChatToolCall>();
        var results = new List<TemplateMessage>();
        foreach (AIContent content in message.Contents)
        {
            switch (content)
            {
                case TextContent { Text: { } words }:
                    text.Append(words);
                    break;
                case FunctionCallContent call:
                    calls.Add(new ChatToolCall(call.CallId, call.Name, Serialize(call.Arguments ?? new Dictionary<string, object?>())));
                    break;
                case FunctionResultContent result:
                    results.Add(Read(message.Role, result));
                    break;

                // What the model thought, or what a message cost, is no part of what it reads.
                case TextReasoningContent or UsageContent:
                    break;
                default:
                    throw new NotSupportedException(
                        $"A message of the role {message.Role} holds {content.GetType().Name}; the model reads text alone. Leave it out, "
                        + "or say in words what is in it.");
            }
        }

        if (results.Count == 0 || text.Length > 0 || calls.Count > 0)
        {
            yield return new TemplateMessage(message.Role.Value, text.ToString()) { ToolCalls = calls };
        }

        foreach (TemplateMessage result in results)
        {
            yield return result;
        }
    }

    private static TemplateMessage Read(ChatRole role, FunctionResultContent result)
    {
        (string text, JsonElement? value) = result switch
        {
            { Exception: { } error } => ($"Error: {error.Message}", null),
            { Result: string words } => (words, null),
            { Result: null } => Value(JsonSerializer.SerializeToElement<object?>(null, AIJsonUtilities.DefaultOptions)),
            { Result: { } other } => Value(Serialize(other)),
        };
        return new TemplateMessage(role.Value, text) { ToolCallId = result.CallId, Result = value };

        static (string, JsonElement?) Value(JsonElement value) =>
            value.ValueKind == JsonValueKind.String ? (value.GetString()!, null) : (JinjaJson.Write(value), value);
    }

    private static JsonElement Serialize(object value) =>
        JsonSerializer.SerializeToElement(value, AIJsonUtilities.DefaultOptions.GetTypeInfo(value.GetType()));
}
