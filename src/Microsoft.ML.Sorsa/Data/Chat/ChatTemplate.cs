using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>
/// A tokenizer's chat template. Templates are Jinja programs; instead of running Jinja, the well-known ones are recognised by
/// the hash of their text and rendered by code of our own, character for character as <c>apply_chat_template</c> of Hugging
/// Face's transformers does.
/// </summary>
internal sealed class ChatTemplate
{
    private static readonly ChatTemplate[] Known =
    [
        new("chatml", "fcf7a096fe99a48fd9ad2b250bf9237e96e8f48bffec1c7ea4d3f225176cd40e", ChatMLFormat.Plain,
            ChatMLFormat.EndOfTurn),
        new("llama-2-chat", "e8d5b5a546d3f19df16a5320c614fab05bdc4edd50e850f1afd947b503ea41cf", LlamaFormat.Llama2),
        new("llama-3-instruct", "ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122", LlamaFormat.Llama3,
            LlamaFormat.EndOfTurn),
        new("mistral-instruct-v0.1", "7e995b379ec01747807246483647cd99030abf331653f1119e16d7ac041a3495", MistralFormat.V01),
        new("mistral-instruct-v0.3", "cafb64e0e9e5fd2503054b3479593fae39cbdfd52338ce8af9bb4664a8eb05bd", MistralFormat.V03,
            tools: MistralTools.Format),
        new("smollm2-instruct", "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788", ChatMLFormat.SmolLM2,
            ChatMLFormat.EndOfTurn),
        new("tinyllama-chat", "66291cf0045c2425a3a667cf3cbb7af2b11f09e025c02f97245323ab79119362", ZephyrFormat.TinyLlama),
    ];

    private readonly string hash;
    private readonly Func<ChatConversation, TemplatedText> render;

    /// <param name="name">What messages call the template.</param>
    /// <param name="hash">SHA-256 of its UTF-8 text without a final newline, in lower-case hexadecimal.</param>
    /// <param name="render">The template's work.</param>
    /// <param name="endOfTurn">See <see cref="EndOfTurn"/>.</param>
    /// <param name="tools">See <see cref="Tools"/>.</param>
    private ChatTemplate(
        string name, string hash, Func<ChatConversation, TemplatedText> render, string? endOfTurn = null, ToolFormat? tools = null)
    {
        EndOfTurn = endOfTurn;
        Tools = tools;
        Name = name;
        this.hash = hash;
        this.render = render;
    }

    public string Name { get; }

    /// <summary>
    /// The token that the template writes behind an answer where that is not eos_token; null: eos_token. (White space around it is left
    /// out: none of the templates' models has anything to say there.)
    /// </summary>
    public string? EndOfTurn { get; }

    /// <summary>How the model calls tools; null: the template has no place for them.</summary>
    public ToolFormat? Tools { get; }

    /// <summary>Those that have a place for tools.</summary>
    public static IReadOnlyList<string> WithTools { get; } =
        [.. Known.Where(template => template.Tools is not null).Select(template => template.Name)];

    /// <summary>The template with this text. One newline at its end makes no difference, as to Jinja it makes none.</summary>
    /// <exception cref="NotSupportedException">The text is none of the known templates'.</exception>
    public static ChatTemplate FromText(string jinja)
    {
        ArgumentNullException.ThrowIfNull(jinja);
        string text = jinja.EndsWith('\n') ? jinja[..^1] : jinja;
        string found = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        return Array.Find(Known, template => template.hash == found) ?? throw new NotSupportedException(
            $"This chat template (SHA-256 {found}) is not one that can be rendered. Known are: " +
            $"{string.Join(", ", Known.Select(template => template.Name))}. With another, pass the prompt template of your own " +
            $"that it amounts to for one user message: {nameof(PromptTemplate)}.{nameof(PromptTemplate.Format)}(\"... {{prompt}} ...\"), " +
            "which a chat client takes as SorsaChatOptions.Template.");
    }

    /// <summary>The conversation as the one text that the model reads; the messages' contents are not the template's words.</summary>
    /// <param name="messages">At least one message.</param>
    /// <param name="addGenerationPrompt">Whether the text ends with the start of the assistant's reply, in templates that mark it.</param>
    /// <param name="bosToken">The tokenizer's BOS token, null where it has none.</param>
    /// <param name="eosToken">The tokenizer's EOS token, null where it has none.</param>
    /// <param name="tools">What the model may call; null: nothing.</param>
    /// <exception cref="InvalidDataException">The template refuses the conversation; the message is the template's own.</exception>
    public TemplatedText Render(
        IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt, string? bosToken, string? eosToken,
        IReadOnlyList<ChatTool>? tools = null)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return messages.Count == 0
            ? throw new InvalidDataException("Cannot apply chat template to an empty conversation. Provide at least one message.")
            : render(new ChatConversation(messages, addGenerationPrompt, bosToken, eosToken) { Tools = tools ?? [] });
    }
}
