using System.Text.Json;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>The chat formats of Qwen: ChatML, with tools. Messages of other roles are left out.</summary>
internal static class QwenFormat
{
    private const string ThinkMark = "<think>", ThoughtMark = "</think>";

    /// <summary>Qwen2.5 speaks under its own system message where the conversation brings none.</summary>
    public static TemplatedText V25(ChatConversation chat) => RenderV25(chat, "{", "}");

    /// <summary>The first ones released show the model two braces where one was meant.</summary>
    public static TemplatedText V25TwoBraces(ChatConversation chat) => RenderV25(chat, "{{", "}}");

    /// <summary>Qwen3: what the model thought stays in its answers since the user spoke last, and goes from those before.</summary>
    public static TemplatedText V3(ChatConversation chat) => RenderV3(chat, ThinkingStart(chat, ""));

    /// <summary>Qwen3 of July 2025 that thinks always: its answers begin inside of a thought.</summary>
    public static TemplatedText V3Thinking(ChatConversation chat) => RenderV3(chat, ThinkingStart(chat, $"{ThinkMark}\n"));

    /// <summary>Qwen3's calls: none while it thinks.</summary>
    public static ToolFormat V3Tools { get; } = QwenTools.Format with { Thought = new(ThinkMark, ThoughtMark) };

    /// <summary>The same where the prompt begins the thought.</summary>
    public static ToolFormat V3ThinkingTools { get; } = QwenTools.Format with { Thought = new(ThinkMark, ThoughtMark, IsOpen: true) };

    private static string ThinkingStart(ChatConversation chat, string start) =>
        chat.AddGenerationPrompt ? $"<|im_start|>assistant\n{start}" : "";

    private static TemplatedText RenderV25(ChatConversation chat, string open, string close)
    {
        const string Own = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
        TemplatedText text = new TemplatedText().Append("<|im_start|>system\n");
        _ = chat.SystemMessage is { } system ? text.AppendContent(system) : text.Append(Own);
        if (chat.Tools.Count > 0)
        {
            text.Append("\n\n").Append(QwenTools.Offer(chat.Tools, open, close));
        }

        text.Append("<|im_end|>\n");
        IReadOnlyList<ChatMessage> turns = chat.Turns;
        foreach ((int at, ChatMessage message) in turns.Index())
        {
            switch (message.Role)
            {
                case "assistant" when message.ToolCalls.Count > 0:
                    text.Append("<|im_start|>assistant").Append(message.Content.Length > 0 ? "\n" : "").AppendContent(message.Content);
                    foreach (ChatToolCall call in message.ToolCalls)
                    {
                        text.Append("\n").Append(QwenTools.Call(call));
                    }

                    text.Append("<|im_end|>\n");
                    break;
                case "user" or "system" or "assistant":
                    text.Append($"<|im_start|>{message.Role}\n").AppendContent(message.Content).Append("<|im_end|>\n");
                    break;
                case "tool":
                    text.Append(QwenTools.Result(turns, at));
                    break;
            }
        }

        return text.Append(ThinkingStart(chat, ""));
    }

    private static TemplatedText RenderV3(ChatConversation chat, string end)
    {
        var text = new TemplatedText();
        if (chat.Tools.Count > 0)
        {
            text.Append("<|im_start|>system\n");
            _ = chat.SystemMessage is { } system ? text.AppendContent(system).Append("\n\n") : text;
            text.Append(QwenTools.Offer(chat.Tools, "{", "}")).Append("<|im_end|>\n");
        }
        else if (chat.SystemMessage is { } system)
        {
            text.Append("<|im_start|>system\n").AppendContent(system).Append("<|im_end|>\n");
        }

        IReadOnlyList<ChatMessage> turns = chat.Turns;
        int lastQuestion = LastQuestion(turns);
        foreach ((int at, ChatMessage message) in turns.Index())
        {
            switch (message.Role)
            {
                case "user" or "system":
                    text.Append($"<|im_start|>{message.Role}\n").AppendContent(message.Content).Append("<|im_end|>\n");
                    break;
                case "assistant":
                    AppendAnswer(text, message, isSinceQuestion: at > lastQuestion, isLast: at == turns.Count - 1);
                    break;
                case "tool":
                    text.Append(QwenTools.Result(turns, at));
                    break;
            }
        }

        return text.Append(end);
    }

    private static void AppendAnswer(TemplatedText text, ChatMessage message, bool isSinceQuestion, bool isLast)
    {
        string content = message.Content, thought = "";
        if (content.Contains(ThoughtMark, StringComparison.Ordinal))
        {
            string[] parts = content.Split(ThoughtMark);
            content = parts[^1].TrimStart('\n');
            thought = parts[0].TrimEnd('\n').Split(ThinkMark)[^1].TrimStart('\n');
        }

        text.Append("<|im_start|>assistant\n");
        _ = isSinceQuestion && (isLast || thought.Length > 0)
            ? text.Append($"{ThinkMark}\n").AppendContent(thought.Trim('\n')).Append($"\n{ThoughtMark}\n\n")
                .AppendContent(content.TrimStart('\n'))
            : text.AppendContent(content);
        foreach ((int at, ChatToolCall call) in message.ToolCalls.Index())
        {
            text.Append(at > 0 || content.Length > 0 ? "\n" : "").Append(QwenTools.Call(call));
        }

        text.Append("<|im_end|>\n");
    }

    /// <summary>The last message of the user that is no result of a tool; where there is none, the last message.</summary>
    private static int LastQuestion(IReadOnlyList<ChatMessage> turns)
    {
        for (int at = turns.Count - 1; at >= 0; at--)
        {
            if (turns[at] is { Role: "user" } message && !QwenTools.IsResult(message.Content))
            {
                return at;
            }
        }

        return turns.Count - 1;
    }
}

/// <summary>
/// Tools in the format of Qwen, which is that of Hermes: what may be called stands in the system message, calls and results between marks,
/// any number in a turn.
/// </summary>
internal static class QwenTools
{
    private const string CallMark = "<tool_call>", CallEnd = "</tool_call>";
    private const string ResultMark = "<tool_response>", ResultEnd = "</tool_response>";

    public static ToolFormat Format { get; } = new(
        [CallMark], letter => letter == '{', call => ToolCallJson.Read(call[CallMark.Length..], JsonValueKind.Object, "arguments"))
    {
        Closing = CallEnd,
    };

    /// <summary>What may be called, and how.</summary>
    public static TemplatedText Offer(IReadOnlyList<ChatTool> tools, string open, string close)
    {
        TemplatedText text = new TemplatedText()
            .Append("# Tools\n\nYou may call one or more functions to assist with the user query.\n\n")
            .Append("You are provided with function signatures within <tools></tools> XML tags:\n<tools>");
        foreach (ChatTool tool in tools)
        {
            text.Append("\n").AppendContent(JinjaJson.Write(tool.ToJson()));
        }

        return text.Append("\n</tools>\n\nFor each function call, return a json object with function name and arguments within ")
            .Append($"{CallMark}{CallEnd} XML tags:\n{CallMark}\n{open}")
            .Append($"\"name\": <function-name>, \"arguments\": <args-json-object>{close}\n{CallEnd}");
    }

    public static TemplatedText Call(ChatToolCall call) => new TemplatedText()
        .Append($"{CallMark}\n{{\"name\": \"").AppendContent(call.Name)
        .Append("\", \"arguments\": ").AppendContent(JinjaJson.Write(call.Arguments)).Append($"}}\n{CallEnd}");

    /// <summary>A tool's message; those that follow each other are one message of the user.</summary>
    public static TemplatedText Result(IReadOnlyList<ChatMessage> turns, int at) => new TemplatedText()
        .Append(at == 0 || turns[at - 1].Role != "tool" ? "<|im_start|>user" : "")
        .Append($"\n{ResultMark}\n").AppendContent(turns[at].Content).Append($"\n{ResultEnd}")
        .Append(at == turns.Count - 1 || turns[at + 1].Role != "tool" ? "<|im_end|>\n" : "");

    /// <summary>Whether a message of the user is a result that somebody else wrote so.</summary>
    public static bool IsResult(string content) =>
        content.StartsWith(ResultMark, StringComparison.Ordinal) && content.EndsWith(ResultEnd, StringComparison.Ordinal);
}
