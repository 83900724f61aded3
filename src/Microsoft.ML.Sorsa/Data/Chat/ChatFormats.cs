namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>ChatML: every message between two marks, whatever its role.</summary>
internal static class ChatMLFormat
{
    /// <summary>Ends every message.</summary>
    public const string EndOfTurn = "<|im_end|>";

    /// <summary>Generic ChatML.</summary>
    public static TemplatedText Plain(ChatConversation chat) => Render(chat, []);

    /// <summary>The same behind BOS.</summary>
    public static TemplatedText BehindBos(ChatConversation chat) => new TemplatedText().Append(chat.BosToken).Append(Plain(chat));

    /// <summary>SmolLM2 speaks under its own system message where the conversation brings none.</summary>
    public static TemplatedText SmolLM2(ChatConversation chat) => Render(chat, chat.SystemMessage is not null
        ? []
        : [new ChatMessage("system", "You are a helpful AI assistant named SmolLM, trained by Hugging Face")]);

    private static TemplatedText Render(ChatConversation chat, ChatMessage[] before)
    {
        TemplatedText text = new();
        foreach (ChatMessage message in before.Concat(chat.Messages))
        {
            text.Append($"<|im_start|>{message.Role}\n").AppendContent(message.Content).Append(EndOfTurn + "\n");
        }

        return text.Append(chat.AddGenerationPrompt ? "<|im_start|>assistant\n" : "");
    }
}

/// <summary>Zephyr's format, which TinyLlama's chat models use: a mark per role; messages of other roles are left out.</summary>
internal static class ZephyrFormat
{
    public static TemplatedText TinyLlama(ChatConversation chat)
    {
        TemplatedText text = new();
        foreach ((string role, string content) in chat.Messages)
        {
            if (role is "user" or "system" or "assistant")
            {
                text.Append($"<|{role}|>\n").AppendContent(content).Append($"{chat.RequiredEosToken}\n");
            }
        }

        return text.Append(chat.AddGenerationPrompt ? "<|assistant|>\n" : "");
    }
}

/// <summary>The instruction formats of Llama 2, 3 and 3.1.</summary>
internal static class LlamaFormat
{
    /// <summary>Ends every message of Llama 3.</summary>
    public const string EndOfTurn = "<|eot_id|>";

    /// <summary>
    /// Llama 2: the system message goes into the first user message. Roles that are neither user nor assistant count as turns
    /// and are left out. The text after the last <c>[/INST]</c> is the model's, so there is no generation prompt.
    /// </summary>
    public static TemplatedText Llama2(ChatConversation chat)
    {
        TemplatedText text = new();
        IReadOnlyList<ChatMessage> turns = chat.Turns;
        for (int i = 0; i < turns.Count; i++)
        {
            (string role, string content) = turns[i];
            if ((role == "user") != (i % 2 == 0))
            {
                throw new InvalidDataException("Conversation roles must alternate user/assistant/user/assistant/...");
            }

            if (role == "user")
            {
                text.Append($"{chat.RequiredBosToken}[INST] ");
                AppendStripped(text, i == 0 ? chat.SystemMessage : null, content);
                text.Append(" [/INST]");
            }
            else if (role == "assistant")
            {
                text.Append(" ").AppendContent(JinjaText.Strip(content)).Append($" {chat.RequiredEosToken}");
            }
        }

        return text;
    }

    /// <summary>Llama 3: a header with the role, whatever it is, before each message.</summary>
    public static TemplatedText Llama3(ChatConversation chat)
    {
        TemplatedText text = new TemplatedText().Append(chat.RequiredBosToken);
        foreach (ChatMessage message in chat.Messages)
        {
            text.Append(Header(message.Role)).AppendContent(JinjaText.Strip(message.Content)).Append(EndOfTurn);
        }

        return text.Append(chat.AddGenerationPrompt ? Header("assistant") : "");
    }

    /// <summary>
    /// Llama 3.1 to 3.3: a system message in any case, with dates in front of it. That of today is the one that the template has where
    /// nobody says another: the same conversation is the same text every day.
    /// </summary>
    public static TemplatedText Llama31(ChatConversation chat)
    {
        TemplatedText text = new TemplatedText().Append(chat.BosToken).Append(Header("system"))
            .Append(chat.Tools.Count > 0 ? "Environment: ipython\n" : "")
            .Append("Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n")
            .AppendContent(JinjaText.Strip(chat.SystemMessage ?? "")).Append(EndOfTurn);
        IEnumerable<ChatMessage> turns = chat.Turns;
        if (chat.Tools.Count > 0)
        {
            ChatMessage first = turns.FirstOrDefault() ?? throw new InvalidDataException(
                "Cannot put tools in the first user message when there's no first user message!");
            text.Append(Header("user")).Append(LlamaTools.Offer(chat.Tools))
                .AppendContent(JinjaText.Strip(first.Content)).Append(EndOfTurn);
            turns = turns.Skip(1);
        }

        foreach (ChatMessage message in turns)
        {
            _ = message.ToolCalls.Count > 0 ? text.Append(Header("assistant")).Append(LlamaTools.Call(message))
                : message.Role is "tool" or "ipython" ? text.Append(Header("ipython")).AppendContent(LlamaTools.Result(message))
                : text.Append(Header(message.Role)).AppendContent(JinjaText.Strip(message.Content));
            text.Append(EndOfTurn);
        }

        return text.Append(chat.AddGenerationPrompt ? Header("assistant") : "");
    }

    private static string Header(string role) => $"<|start_header_id|>{role}<|end_header_id|>\n\n";

    /// <summary>The template strips both together: of a message that is blank the newlines between them go, too.</summary>
    private static void AppendStripped(TemplatedText text, string? system, string content)
    {
        string stripped = JinjaText.Strip(content);
        if (system is null)
        {
            text.AppendContent(stripped);
            return;
        }

        text.Append("<<SYS>>\n").AppendContent(system).Append("\n<</SYS>>");
        if (stripped.Length > 0)
        {
            text.Append("\n\n").AppendContent(JinjaText.StripEnd(content));
        }
    }
}

/// <summary>The instruction formats of Mistral; none has a generation prompt.</summary>
internal static class MistralFormat
{
    /// <summary>v0.1: user and assistant in turn, no system message.</summary>
    public static TemplatedText V01(ChatConversation chat)
    {
        TemplatedText text = new TemplatedText().Append(chat.BosToken);
        for (int i = 0; i < chat.Messages.Count; i++)
        {
            (string role, string content) = chat.Messages[i];
            if ((role == "user") != (i % 2 == 0))
            {
                throw new InvalidDataException("Conversation roles must alternate user/assistant/user/assistant/...");
            }

            _ = role switch
            {
                "user" => text.Append("[INST] ").AppendContent(content).Append(" [/INST]"),
                "assistant" => text.AppendContent(content).Append($"{chat.RequiredEosToken} "),
                _ => throw new InvalidDataException("Only user and assistant roles are supported!"),
            };
        }

        return text;
    }

    /// <summary>
    /// v0.3: the system message stands before the last user message, and only if the conversation ends with that; what may be called stands
    /// before the last user message and any that says the same. Calls of tools and their results do not count as turns.
    /// </summary>
    public static TemplatedText V03(ChatConversation chat) => Render(chat, " ");

    /// <summary>Nemo: as v0.3, without blanks behind the marks, and answers are left as they are.</summary>
    public static TemplatedText Nemo(ChatConversation chat) => Render(chat, "");

    private static TemplatedText Render(ChatConversation chat, string space)
    {
        var tools = new MistralTools(space);
        IReadOnlyList<ChatMessage> turns = chat.Turns;
        bool user = true;
        foreach (ChatMessage turn in turns.Where(turn => !IsToolResult(turn) && turn.ToolCalls.Count == 0))
        {
            if ((turn.Role == "user") != user)
            {
                throw new InvalidDataException(
                    "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...");
            }

            user = !user;
        }

        string? lastUser = turns.LastOrDefault(turn => turn.Role == "user")?.Content;
        TemplatedText text = new TemplatedText().Append(chat.BosToken);
        for (int i = 0; i < turns.Count; i++)
        {
            string content = turns[i].Content;
            if (turns[i].Role == "user" && chat.Tools.Count > 0 && content == lastUser)
            {
                text.Append(tools.Offer(chat.Tools));
            }

            _ = turns[i].Role switch
            {
                "user" when i == turns.Count - 1 && chat.SystemMessage is { } system =>
                    text.Append($"[INST]{space}").AppendContent(system).Append("\n\n").AppendContent(content).Append("[/INST]"),
                "user" => text.Append($"[INST]{space}").AppendContent(content).Append("[/INST]"),
                _ when turns[i].ToolCalls.Count > 0 => text.Append(tools.Calls(turns[i], chat.RequiredEosToken)),
                "assistant" => text.Append(space).AppendContent(space.Length > 0 ? JinjaText.Strip(content) : content)
                    .Append(chat.RequiredEosToken),
                _ when IsToolResult(turns[i]) => text.Append(tools.Result(turns[i])),
                _ => throw new InvalidDataException(
                    "Only user and assistant roles are supported, with the exception of an initial optional system message!"),
            };
        }

        return text;
    }

    private static bool IsToolResult(ChatMessage message) => message.Role is "tool" or "tool_results";
}
