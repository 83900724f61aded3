using Microsoft.ML.Sorsa.Data.Chat;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>
/// How a prompt, one row's text, becomes the text that the model reads before its response: in training, and the same way when it
/// predicts. Two templates that give the same text are equal.
/// </summary>
public sealed record PromptTemplate
{
    private const string Placeholder = "{prompt}";
    private const string ChatMark = "chat";
    private const string FormatMark = "format:";

    /// <summary>Null for <see cref="Chat"/>.</summary>
    private readonly string? format;

    private PromptTemplate(string? format) => this.format = format;

    /// <summary>
    /// The default, and what the SORSA paper's runs use (arXiv 2409.00055): Alpaca's instruction prompt without an input. It ends
    /// with the colon of <c>### Response:</c>; the response follows without a space.
    /// </summary>
    public static PromptTemplate Alpaca { get; } = new(
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n" +
        "### Instruction:\n{prompt}\n\n### Response:");

    /// <summary>
    /// The tokenizer's own chat template, for models that were tuned to chat: the prompt as the only user message, followed by
    /// the start of the assistant's reply. The template writes the BOS token itself where it wants one.
    /// </summary>
    /// <remarks>
    /// Only the well-known templates can be rendered (SmolLM2, Llama 2 and 3, Mistral v0.1 and v0.3, TinyLlama, ChatML): loading
    /// another fails with an error that names them. Use <see cref="Format"/> there.
    /// </remarks>
    public static PromptTemplate Chat { get; } = new((string?)null);

    /// <summary>A prompt template of one's own.</summary>
    /// <param name="format">
    /// Any text with <c>{prompt}</c> in it, once or more. Only these eight characters, exactly so, are replaced; every other brace
    /// stays, and so does a <c>{prompt}</c> in the prompt itself.
    /// </param>
    /// <exception cref="ArgumentException"><paramref name="format"/> has no <c>{prompt}</c>.</exception>
    public static PromptTemplate Format(string format)
    {
        ArgumentNullException.ThrowIfNull(format);
        return format.Contains(Placeholder, StringComparison.Ordinal)
            ? new PromptTemplate(format)
            : throw new ArgumentException(
                $"The prompt template \"{format}\" must contain {Placeholder} at least once: write it where the row's prompt belongs.",
                nameof(format));
    }

    /// <summary>The format's text, or <c>PromptTemplate.Chat</c>.</summary>
    public override string ToString() => format ?? $"{nameof(PromptTemplate)}.{nameof(Chat)}";

    /// <summary>Whether the text already has every special token it needs, so that the tokenizer must not add a BOS of its own.</summary>
    internal bool RendersSpecialTokens => format is null;

    /// <summary>The text before the response.</summary>
    /// <param name="prompt">One row's prompt.</param>
    /// <param name="chat">The tokenizer's chat template, null where it has none; only <see cref="Chat"/> needs it and the tokens.</param>
    /// <param name="bosToken">The tokenizer's BOS token.</param>
    /// <param name="eosToken">The tokenizer's EOS token.</param>
    internal string Apply(string prompt, ChatTemplate? chat, string? bosToken, string? eosToken)
    {
        if (format is not null)
        {
            return format.Replace(Placeholder, prompt, StringComparison.Ordinal);
        }

        return chat is not null
            ? chat.Render([new ChatMessage("user", prompt)], addGenerationPrompt: true, bosToken, eosToken)
            : throw new ArgumentException(
                $"{nameof(PromptTemplate)}.{nameof(Chat)} needs the tokenizer's chat template, and the tokenizer has none (a model " +
                "folder holds it as chat_template in tokenizer_config.json, or as chat_template.jinja). Pass " +
                $"{nameof(PromptTemplate)}.{nameof(Alpaca)} or {nameof(PromptTemplate)}.{nameof(Format)}.",
                nameof(chat));
    }

    /// <summary>One string from which <see cref="Deserialize"/> makes an equal template.</summary>
    internal string Serialize() => format is null ? ChatMark : FormatMark + format;

    /// <exception cref="InvalidDataException">The text is not one that <see cref="Serialize"/> writes.</exception>
    internal static PromptTemplate Deserialize(string text) => text switch
    {
        ChatMark => Chat,
        _ when text.StartsWith(FormatMark, StringComparison.Ordinal) && text.Contains(Placeholder, StringComparison.Ordinal) =>
            new PromptTemplate(text[FormatMark.Length..]),
        _ => throw new InvalidDataException(
            $"The stored prompt template is \"{text}\"; it must be \"{ChatMark}\", or begin with \"{FormatMark}\" and contain " +
            $"{Placeholder}. Save the model again with this version of the library."),
    };
}
