using System.Text;

namespace Microsoft.ML.Sorsa.Data.Chat;

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
