using System.Text.Json;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>
/// Hermes 2 Pro and Hermes 3, whose tokenizers have a template for conversations with tools beside the one for others, which is ChatML
/// behind BOS. Calls are as in Qwen's format, which comes from here.
/// </summary>
internal static class HermesFormat
{
    public static TemplatedText Render(ChatConversation chat) =>
        chat.Tools.Count > 0 ? RenderTools(chat) : ChatMLFormat.BehindBos(chat);

    /// <summary>What may be called stands in a system message of its own, in front of the conversation's.</summary>
    private static TemplatedText RenderTools(ChatConversation chat)
    {
        TemplatedText text = new TemplatedText().Append(chat.BosToken).Append("<|im_start|>system\n").Append(HermesTools.Offer(chat.Tools))
            .Append(ChatMLFormat.EndOfTurn + "\n");
        foreach ((int at, ChatMessage message) in chat.Messages.Index())
        {
            switch (message.Role)
            {
                case "assistant" when message.ToolCalls.Count > 0:
                    text.Append("<|im_start|>assistant");
                    foreach (ChatToolCall call in message.ToolCalls)
                    {
                        text.Append("\n").Append(QwenTools.Call(call));
                    }

                    text.Append(ChatMLFormat.EndOfTurn + "\n");
                    break;
                case "user" or "system" or "assistant":
                    text.Append($"<|im_start|>{message.Role}\n").AppendContent(message.Content).Append(ChatMLFormat.EndOfTurn + "\n");
                    break;
                case "tool":
                    text.Append(HermesTools.Result(chat.Messages, at));
                    break;
            }
        }

        return text.Append(chat.AddGenerationPrompt ? "<|im_start|>assistant\n" : "");
    }
}

/// <summary>Tools as Hermes is told of them: each is JSON whose description begins with what it is in Python.</summary>
internal static class HermesTools
{
    /// <summary>What JSON's simple types are called in Python.</summary>
    private static readonly Dictionary<string, string> s_types = new(StringComparer.Ordinal)
    {
        ["string"] = "str",
        ["number"] = "float",
        ["integer"] = "int",
        ["boolean"] = "bool",
    };

    /// <summary>A call as a schema; the brace that is too many is the template's.</summary>
    private const string Call =
        """{"properties": {"name": {"title": "Name", "type": "string"}, "arguments": {"title": "Arguments", "type": "object"}}, """
        + "\"required\": [\"name\", \"arguments\"], \"title\": \"FunctionCall\", \"type\": \"object\"}}";

    /// <summary>What may be called, and how.</summary>
    public static TemplatedText Offer(IReadOnlyList<ChatTool> tools)
    {
        TemplatedText text = new TemplatedText()
            .Append("You are a function calling AI model. You are provided with function signatures within <tools></tools> XML tags. ")
            .Append("You may call one or more functions to assist with the user query. Don't make assumptions about what values to plug ")
            .Append("into functions. Here are the available tools: <tools> ");
        foreach ((int at, ChatTool tool) in tools.Index())
        {
            text.Append(at > 0 ? "\n" : "").Append("{\"type\": \"function\", \"function\": {\"name\": \"").AppendContent(tool.Name)
                .Append("\", \"description\": \"").Append(Describe(tool)).Append("\", \"parameters\": ")
                .AppendContent(Properties(tool).Length > 0 ? JinjaJson.Write(tool.Parameters) : "{}").Append("}");
        }

        return text.Append(" </tools>Use the following pydantic model json schema for each tool call you will make: ").Append(Call)
            .Append("\nFor each function call return a json object with function name and arguments within <tool_call></tool_call> XML ")
            .Append("tags as follows:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-dict>}\n</tool_call>");
    }

    /// <summary>A tool's message; those that follow each other are one. Behind it no line ends, and a first one has no beginning.</summary>
    public static TemplatedText Result(IReadOnlyList<ChatMessage> messages, int at)
    {
        bool isLast = at == messages.Count - 1;
        return new TemplatedText()
            .Append(at > 0 && messages[at - 1].Role != "tool" ? "<|im_start|>tool\n" : "")
            .Append("<tool_response>\n").AppendContent(messages[at].Content).Append("\n</tool_response>").Append(isLast ? "" : "\n")
            .Append(isLast || messages[at + 1].Role != "tool" ? ChatMLFormat.EndOfTurn : "");
    }

    /// <summary>The signature, what it does, and each argument, without line breaks between them: so does the template.</summary>
    private static TemplatedText Describe(ChatTool tool)
    {
        JsonProperty[] properties = Properties(tool);
        TemplatedText text = new TemplatedText().AppendContent(tool.Name).Append("(");
        foreach ((int at, JsonProperty property) in properties.Index())
        {
            text.Append(at > 0 ? ", " : "").AppendContent(property.Name).Append(": ").Append(PythonType(tool, property.Value));
        }

        text.Append(") - ").AppendContent(tool.Description).Append(properties.Length > 0 ? "\n\n    Args:\n" : "\n\n");
        foreach (JsonProperty property in properties)
        {
            text.Append("        ").AppendContent(property.Name).Append($"({PythonType(tool, property.Value)}): ")
                .AppendContent(JinjaText.Strip(Find(property.Value, "description") is { } description ? $"{description}" : ""));
        }

        return text;
    }

    /// <summary>
    /// A schema's type in Python's words, as far as the template gets with it: of what an array holds it reads nothing, and what has no
    /// type is a union of none.
    /// </summary>
    private static string PythonType(ChatTool tool, JsonElement schema) => Find(schema, "type") switch
    {
        { ValueKind: JsonValueKind.String } type => PythonType(tool, schema, type.GetString()!),
        { ValueKind: JsonValueKind.Array } types => $"Union[{string.Join(",", types.EnumerateArray().Select(type =>
            type.ValueKind == JsonValueKind.String ? PythonType(tool, default, type.GetString()!) : "Any"))}]",
        null => "Union[]",
        _ => "Any",
    };

    private static string PythonType(ChatTool tool, JsonElement schema, string type) => s_types.GetValueOrDefault(type) ?? type switch
    {
        "array" => "list[Union[]]",
        "object" => Find(schema, "additionalProperties") is { } values ? $"dict[str, {PythonType(tool, values)}]" : "dict",
        "" => "Union[]",
        _ => throw new InvalidDataException(
            $"The tool '{tool.Name}' has a parameter of the type '{type}', for which the template has no word (in Jinja it calls itself "
            + $"without end). Give it one of {string.Join(", ", s_types.Keys)}, array and object; a parameter that may be left out need "
            + "not be null."),
    };

    private static JsonProperty[] Properties(ChatTool tool) =>
        Find(tool.Parameters, "properties") is { ValueKind: JsonValueKind.Object } properties ? [.. properties.EnumerateObject()] : [];

    private static JsonElement? Find(JsonElement schema, string name) =>
        schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty(name, out JsonElement value) ? value : null;
}
