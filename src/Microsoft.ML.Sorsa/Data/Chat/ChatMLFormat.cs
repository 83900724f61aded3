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
