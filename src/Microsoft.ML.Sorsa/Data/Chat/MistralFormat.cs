using System.Text;

namespace Microsoft.ML.Sorsa.Data.Chat;

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
