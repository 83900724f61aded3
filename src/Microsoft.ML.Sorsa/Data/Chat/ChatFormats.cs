using System.Text;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>ChatML: every message between two marks, whatever its role.</summary>
internal static class ChatMLFormat
{
    /// <summary>Generic ChatML.</summary>
    public static string Plain(ChatConversation chat) => Render(chat, []);

    /// <summary>SmolLM2 speaks under its own system message where the conversation brings none.</summary>
    public static string SmolLM2(ChatConversation chat) => Render(chat, chat.SystemMessage is not null
        ? []
        : [new ChatMessage("system", "You are a helpful AI assistant named SmolLM, trained by Hugging Face")]);

    private static string Render(ChatConversation chat, ChatMessage[] before)
    {
        StringBuilder text = new();
        foreach (ChatMessage message in before.Concat(chat.Messages))
        {
            text.Append($"<|im_start|>{message.Role}\n{message.Content}<|im_end|>\n");
        }

        return text.Append(chat.AddGenerationPrompt ? "<|im_start|>assistant\n" : "").ToString();
    }
}

/// <summary>Zephyr's format, which TinyLlama's chat models use: a mark per role; messages of other roles are left out.</summary>
internal static class ZephyrFormat
{
    public static string TinyLlama(ChatConversation chat)
    {
        StringBuilder text = new();
        foreach ((string role, string content) in chat.Messages)
        {
            if (role is "user" or "system" or "assistant")
            {
                text.Append($"<|{role}|>\n{content}{chat.RequiredEosToken}\n");
            }
        }

        return text.Append(chat.AddGenerationPrompt ? "<|assistant|>\n" : "").ToString();
    }
}

/// <summary>The instruction formats of Llama 2 and Llama 3.</summary>
internal static class LlamaFormat
{
    /// <summary>
    /// Llama 2: the system message goes into the first user message. Roles that are neither user nor assistant count as turns
    /// and are left out. The text after the last <c>[/INST]</c> is the model's, so there is no generation prompt.
    /// </summary>
    public static string Llama2(ChatConversation chat)
    {
        StringBuilder text = new();
        IReadOnlyList<ChatMessage> turns = chat.Turns;
        for (int i = 0; i < turns.Count; i++)
        {
            (string role, string content) = turns[i];
            if ((role == "user") != (i % 2 == 0))
            {
                throw new InvalidDataException("Conversation roles must alternate user/assistant/user/assistant/...");
            }

            if (i == 0 && chat.SystemMessage is { } system)
            {
                content = $"<<SYS>>\n{system}\n<</SYS>>\n\n{content}";
            }

            text.Append(role switch
            {
                "user" => $"{chat.RequiredBosToken}[INST] {JinjaText.Strip(content)} [/INST]",
                "assistant" => $" {JinjaText.Strip(content)} {chat.RequiredEosToken}",
                _ => "",
            });
        }

        return text.ToString();
    }

    /// <summary>Llama 3: a header with the role, whatever it is, before each message.</summary>
    public static string Llama3(ChatConversation chat)
    {
        StringBuilder text = new(chat.RequiredBosToken);
        foreach (ChatMessage message in chat.Messages)
        {
            text.Append(Header(message.Role)).Append(JinjaText.Strip(message.Content)).Append("<|eot_id|>");
        }

        return text.Append(chat.AddGenerationPrompt ? Header("assistant") : "").ToString();
    }

    private static string Header(string role) => $"<|start_header_id|>{role}<|end_header_id|>\n\n";
}

/// <summary>The instruction formats of Mistral 7B; neither has a generation prompt.</summary>
internal static class MistralFormat
{
    /// <summary>v0.1: user and assistant in turn, no system message.</summary>
    public static string V01(ChatConversation chat)
    {
        StringBuilder text = new(chat.BosToken);
        for (int i = 0; i < chat.Messages.Count; i++)
        {
            (string role, string content) = chat.Messages[i];
            if ((role == "user") != (i % 2 == 0))
            {
                throw new InvalidDataException("Conversation roles must alternate user/assistant/user/assistant/...");
            }

            text.Append(role switch
            {
                "user" => $"[INST] {content} [/INST]",
                "assistant" => $"{content}{chat.RequiredEosToken} ",
                _ => throw new InvalidDataException("Only user and assistant roles are supported!"),
            });
        }

        return text.ToString();
    }

    /// <summary>
    /// v0.3: the system message stands before the last user message, and only if the conversation ends with that. Tool results
    /// do not count as turns, and are refused as the template refuses any that has no call id, which no message of ours has.
    /// </summary>
    public static string V03(ChatConversation chat)
    {
        IReadOnlyList<ChatMessage> turns = chat.Turns;
        bool user = true;
        foreach (ChatMessage turn in turns.Where(turn => !IsToolResult(turn)))
        {
            if ((turn.Role == "user") != user)
            {
                throw new InvalidDataException(
                    "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...");
            }

            user = !user;
        }

        StringBuilder text = new(chat.BosToken);
        for (int i = 0; i < turns.Count; i++)
        {
            string content = turns[i].Content;
            text.Append(turns[i].Role switch
            {
                "user" when i == turns.Count - 1 && chat.SystemMessage is { } system => $"[INST] {system}\n\n{content}[/INST]",
                "user" => $"[INST] {content}[/INST]",
                "assistant" => $" {JinjaText.Strip(content)}{chat.RequiredEosToken}",
                _ when IsToolResult(turns[i]) => throw new InvalidDataException(
                    "Tool call IDs should be alphanumeric strings with length 9!"),
                _ => throw new InvalidDataException(
                    "Only user and assistant roles are supported, with the exception of an initial optional system message!"),
            });
        }

        return text.ToString();
    }

    private static bool IsToolResult(ChatMessage message) => message.Role is "tool" or "tool_results";
}
