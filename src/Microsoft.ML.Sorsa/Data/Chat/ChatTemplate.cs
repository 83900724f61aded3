using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>
/// A tokenizer's chat template. Templates are Jinja programs; instead of running Jinja, the well-known ones are recognised by
/// the hash of their text and rendered by code of our own, character for character as <c>apply_chat_template</c> of Hugging
/// Face's transformers does; only Llama 3.2's date is the one in the template, where transformers offers today's (<c>strftime_now</c>).
/// </summary>
internal sealed class ChatTemplate
{
    /// <summary>Line breaks written as Jinja's, or as they are.</summary>
    private static readonly string[] s_chatMLBehindBos =
    [
        "a805e50fed68938a076b07e2e602639611b50b1ced0e50f11eb92f1ba25be4dc",
        "68268d4bc1d650084b6b70d429c28c731b651126ee7bec82cd124cc782af9d0d",
    ];

    /// <summary>All that are recognised.</summary>
    public static IReadOnlyList<ChatTemplate> Known { get; } =
    [
        new("chatml", ChatMLFormat.Plain, "fcf7a096fe99a48fd9ad2b250bf9237e96e8f48bffec1c7ea4d3f225176cd40e")
        {
            EndOfTurn = ChatMLFormat.EndOfTurn,
        },
        new("chatml-bos", ChatMLFormat.BehindBos, s_chatMLBehindBos)
        {
            EndOfTurn = ChatMLFormat.EndOfTurn,
        },
        new("hermes-3", HermesFormat.Render, s_chatMLBehindBos)
        {
            EndOfTurn = ChatMLFormat.EndOfTurn,
            Tools = QwenTools.Format,
            ToolUse = "ce62e308475b364e1fc76699dccbddeb9ac08344f90d59719dba86a9922834d9",
        },
        new("llama-2-chat", LlamaFormat.Llama2, "e8d5b5a546d3f19df16a5320c614fab05bdc4edd50e850f1afd947b503ea41cf"),
        new("llama-3-instruct", LlamaFormat.Llama3, "ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122")
        {
            EndOfTurn = LlamaFormat.EndOfTurn,
        },
        new("llama-3.1-instruct", LlamaFormat.Llama31, "93c0e9aa3629bbd77e68dbc0f5621f6e6b23aa8d74b932595cdb8d64684526d7")
        {
            EndOfTurn = LlamaFormat.EndOfTurn,
            Tools = LlamaTools.Format,
        },
        new("llama-3.2-instruct", LlamaFormat.Llama31, "d82792f95932f1c9cef5c4bd992f171225e3bf8c7b609b4557c9e1ec96be819f")
        {
            EndOfTurn = LlamaFormat.EndOfTurn,
            Tools = LlamaTools.Format,
        },
        new("mistral-instruct-v0.1", MistralFormat.V01, "7e995b379ec01747807246483647cd99030abf331653f1119e16d7ac041a3495"),
        new("mistral-instruct-v0.3", MistralFormat.V03, "cafb64e0e9e5fd2503054b3479593fae39cbdfd52338ce8af9bb4664a8eb05bd")
        {
            Tools = MistralTools.Format,
        },
        new("mistral-nemo-instruct", MistralFormat.Nemo,
            "e7deee034838db2bfc7487788a3013d8a307ab69f72f3c54a85f06fd76007d4e",
            "c7a94f505398612940c13ee95070d0d152bcb7b4afbd74a06ff148a82a02851c")
        {
            Tools = MistralTools.Format,
        },
        new("qwen2.5-instruct", QwenFormat.V25, "55b2f4a26ac9ee719330a61a0c39d9e538b0e9322212f048326318cff4f8674a")
        {
            EndOfTurn = ChatMLFormat.EndOfTurn,
            Tools = QwenTools.Format,
        },
        new("qwen2.5-instruct-2024-09", QwenFormat.V25TwoBraces, "4e9918361c284a93880606d182d64da6a9fe97cdc1f5c5a78c1c8840444246fc")
        {
            EndOfTurn = ChatMLFormat.EndOfTurn,
            Tools = QwenTools.Format,
        },
        new("qwen3", QwenFormat.V3,
            "a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8",
            "87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5",
            "40c21f34cf67d8c760ef72f8ad3ae5afad514299d4b06e91dd9a8d705af7b541")
        {
            EndOfTurn = ChatMLFormat.EndOfTurn,
            Tools = QwenFormat.V3Tools,
        },
        new("qwen3-thinking-2507", QwenFormat.V3Thinking, "3802169b2a02b81e6adb7ab4f64f91ff02db753c8c3a64a01c35192d3a61d8d7")
        {
            EndOfTurn = ChatMLFormat.EndOfTurn,
            Tools = QwenFormat.V3ThinkingTools,
        },
        new("smollm2-instruct", ChatMLFormat.SmolLM2, "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788")
        {
            EndOfTurn = ChatMLFormat.EndOfTurn,
        },
        new("tinyllama-chat", ZephyrFormat.TinyLlama, "66291cf0045c2425a3a667cf3cbb7af2b11f09e025c02f97245323ab79119362"),
    ];

    private readonly string[] hashes;
    private readonly Func<ChatConversation, TemplatedText> render;

    /// <summary>The hash of the text beside it that is for conversations with tools; null: it is for all.</summary>
    private string? ToolUse { get; init; }

    /// <param name="name">What messages call the template.</param>
    /// <param name="render">The template's work.</param>
    /// <param name="hashes">
    /// SHA-256 of its UTF-8 text without a final newline, in lower-case hexadecimal; several where other texts do the same.
    /// </param>
    private ChatTemplate(string name, Func<ChatConversation, TemplatedText> render, params string[] hashes)
    {
        Name = name;
        this.hashes = hashes;
        this.render = render;
    }

    public string Name { get; }

    /// <summary>
    /// The token that the template writes behind an answer where that is not eos_token; null: eos_token. (White space around it is left
    /// out: none of the templates' models has anything to say there.)
    /// </summary>
    public string? EndOfTurn { get; private init; }

    /// <summary>How the model calls tools; null: the template has no place for them.</summary>
    public ToolFormat? Tools { get; private init; }

    /// <summary>Those that have a place for tools.</summary>
    public static IReadOnlyList<string> WithTools { get; } =
        [.. Known.Where(template => template.Tools is not null).Select(template => template.Name)];

    /// <summary>The template with this text. One newline at its end makes no difference, as to Jinja it makes none.</summary>
    /// <param name="jinja">The text.</param>
    /// <param name="toolUse">
    /// The text beside it for conversations with tools; null: there is none. One that is not known leaves a template without tools.
    /// </param>
    /// <exception cref="NotSupportedException">The text is none of the known templates'.</exception>
    public static ChatTemplate FromText(string jinja, string? toolUse = null)
    {
        ArgumentNullException.ThrowIfNull(jinja);
        return Find(jinja, toolUse) ?? throw new NotSupportedException(
            $"This chat template (SHA-256 {Hash(jinja)}) is not one that can be rendered. Known are: " +
            $"{string.Join(", ", Known.Select(template => template.Name))}. With another, pass the prompt template of your own " +
            $"that it amounts to for one user message: {nameof(PromptTemplate)}.{nameof(PromptTemplate.Format)}(\"... {{prompt}} ...\")" +
            ", which a chat client takes as SorsaChatOptions.Template; it has no place for tools.");
    }

    /// <summary>The same, or null.</summary>
    public static ChatTemplate? Find(string? jinja, string? toolUse = null)
    {
        string? hash = jinja is null ? null : Hash(jinja), hashOfTools = toolUse is null ? null : Hash(toolUse);
        hashOfTools = hashOfTools == hash ? null : hashOfTools;
        ChatTemplate[] found = [.. Known.Where(template => template.hashes.Contains(hash))];
        return Array.Find(found, template => template.ToolUse == hashOfTools)
            ?? Array.Find(found, template => template.ToolUse is null)?.WithoutTools();
    }

    /// <summary>The same template where conversations with tools are another's.</summary>
    private ChatTemplate WithoutTools() => Tools is null ? this : new(Name, render, hashes) { EndOfTurn = EndOfTurn };

    /// <summary>By which a text is known.</summary>
    public static string Hash(string jinja) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(jinja.EndsWith('\n') ? jinja[..^1] : jinja)));

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
