using System.Text;

namespace Microsoft.ML.Sorsa.Data.Chat;

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
