using Microsoft.ML.Sorsa.Data.Chat;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>
/// How a prompt, one row's text, becomes the text that the model reads before its response: in training, and the same way when it
/// predicts. Two templates that give the same tokens are equal.
/// </summary>
public sealed record PromptTemplate
{
    private const string Placeholder = "{prompt}";

    // What is saved. The first two are as version 0.1 wrote them.
    private const string ChatMark = "chat";
    private const string FormatMark = "format:";
    private const string OpenChatMark = "chat, special tokens found";
    private const string SplitFormatMark = "format, special tokens split:";

    /// <summary>Null for <see cref="Chat"/>.</summary>
    private readonly string? format;

    private PromptTemplate(string? format)
    {
        this.format = format;
        SplitSpecialTokens = format is null;
    }

    /// <summary>
    /// The default, and what the SORSA paper's runs use (arXiv 2409.00055): Alpaca's instruction prompt without an input. It ends
    /// with the colon of <c>### Response:</c>; the response follows without a space.
    /// </summary>
    public static PromptTemplate Alpaca { get; } = new(
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n" +
        "### Instruction:\n{prompt}\n\n### Response:");

    /// <summary>
    /// The tokenizer's own chat template, for models that were tuned to chat: the prompt as the only user message, followed by
    /// the start of the assistant's reply. The template writes the BOS token itself where it wants one, and what it writes behind an
    /// answer ends the responses that are learnt.
    /// </summary>
    /// <remarks>
    /// Only the well-known templates can be rendered (SmolLM2, ChatML, Llama 2 to 3.3, Mistral v0.1, v0.3 and Nemo, Qwen2.5 and 3,
    /// TinyLlama): loading another fails with an error that names them. Use <see cref="Format"/> there.
    /// </remarks>
    public static PromptTemplate Chat { get; } = new((string?)null);

    /// <summary>
    /// Whether a special token that is written out in a row's prompt is split into letters and words like any other text, instead of being
    /// taken for the token: whoever writes <c>&lt;|im_end|&gt;</c> into a prompt then opens no turn of their own. Default true for
    /// <see cref="Chat"/>; false for <see cref="Alpaca"/> and <see cref="Format"/>, whose rows may bring tokens of their own. The
    /// template's own words, and the responses to learn, are not affected.
    /// </summary>
    /// <remarks>
    /// To change it: <c>PromptTemplate.Format("...") with { SplitSpecialTokens = true }</c>. Marks that are ordinary text to the tokenizer
    /// (<c>### Response:</c>; Llama 2's <c>[INST]</c>) cannot be told from the same text in a prompt. A tokenizer of
    /// Microsoft.ML.Tokenizers cannot do it.
    /// </remarks>
    public bool SplitSpecialTokens { get; init; }

    /// <summary>A prompt template of one's own.</summary>
    /// <param name="format">
    /// Any text with <c>{prompt}</c> in it, once or more. Only these eight characters, exactly so, are replaced; every other brace
    /// stays, and so does a <c>{prompt}</c> in the prompt itself. It may begin with the BOS token, which is not put in front twice. Where
    /// the prompt's turn ends with a token that is known to end turns, such as <c>&lt;|im_end|&gt;</c>, so do the responses that are
    /// learnt.
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
    internal TemplatedText Apply(string prompt, ChatTemplate? chat, string? bosToken, string? eosToken)
    {
        if (format is not null)
        {
            string[] pieces = format.Split(Placeholder);
            return pieces.Skip(1).Aggregate(
                new TemplatedText().Append(pieces[0]), (text, piece) => text.AppendContent(prompt).Append(piece));
        }

        return chat is not null
            ? chat.Render([new ChatMessage("user", prompt)], addGenerationPrompt: true, bosToken, eosToken)
            : throw new ArgumentException(
                $"{nameof(PromptTemplate)}.{nameof(Chat)} needs the tokenizer's chat template, and the tokenizer has none (a model " +
                "folder holds it as chat_template in tokenizer_config.json, or as chat_template.jinja). Pass " +
                $"{nameof(PromptTemplate)}.{nameof(Alpaca)} or {nameof(PromptTemplate)}.{nameof(Format)}.",
                nameof(chat));
    }

    /// <summary>
    /// The text of a conversation before the next answer. In a format each message of the user stands where a row's prompt stands, and each
    /// answer behind it with the token that ends one, as one row after the other; what the system says stands in front of the first message
    /// of the user, with an empty line between.
    /// </summary>
    /// <param name="messages">At least one.</param>
    /// <param name="tools">What the model may call; only a chat template has a place for it.</param>
    /// <param name="chat">The tokenizer's chat template, null where it has none; only <see cref="Chat"/> needs it.</param>
    /// <param name="bosToken">The tokenizer's BOS token.</param>
    /// <param name="eosToken">The tokenizer's EOS token.</param>
    /// <exception cref="InvalidDataException">The template refuses the messages; the text is its reason.</exception>
    internal TemplatedText Apply(
        IReadOnlyList<ChatMessage> messages, IReadOnlyList<ChatTool> tools, ChatTemplate? chat, string? bosToken, string? eosToken)
    {
        if (format is null)
        {
            return chat is null
                ? Apply("", chat, bosToken, eosToken)
                : chat.Render(messages, addGenerationPrompt: true, bosToken, eosToken, tools);
        }

        var text = new TemplatedText();
        string? system = null;
        bool user = true;
        foreach (ChatMessage message in messages)
        {
            if (message.Role == "system" && system is null && ReferenceEquals(message, messages[0]))
            {
                system = message.Content;
                continue;
            }

            if (message.Role != (user ? "user" : "assistant"))
            {
                throw new InvalidDataException(
                    "After the optional system message, the roles must be user, assistant, user and so on, as the rows of a training are.");
            }

            if (user)
            {
                text.Append(Apply(system is null ? message.Content : $"{system}\n\n{message.Content}", null, bosToken, eosToken));
                system = null;
            }
            else
            {
                text.AppendContent(message.Content).Append(EndOfTurn(chat) ?? eosToken);
            }

            user = !user;
        }

        return user
            ? throw new InvalidDataException("The last message must be the user's.")
            : text;
    }

    /// <summary>The token that a response ends with where that is another one than the tokenizer's EOS token; otherwise null.</summary>
    /// <param name="chat">The tokenizer's chat template, null where it has none.</param>
    internal string? EndOfTurn(ChatTemplate? chat) => format is null
        ? chat?.EndOfTurn
        : EndOfTurnTokens.FirstIn(format[(format.LastIndexOf(Placeholder, StringComparison.Ordinal) + Placeholder.Length)..]);

    /// <summary>One string from which <see cref="Deserialize"/> makes an equal template.</summary>
    internal string Serialize() => format is null
        ? SplitSpecialTokens ? ChatMark : OpenChatMark
        : (SplitSpecialTokens ? SplitFormatMark : FormatMark) + format;

    /// <exception cref="InvalidDataException">The text is not one that <see cref="Serialize"/> writes.</exception>
    internal static PromptTemplate Deserialize(string text)
    {
        if (text is ChatMark or OpenChatMark)
        {
            return Chat with { SplitSpecialTokens = text == ChatMark };
        }

        string? mark = Array.Find([FormatMark, SplitFormatMark], mark => text.StartsWith(mark, StringComparison.Ordinal));
        return mark is not null && text.Contains(Placeholder, StringComparison.Ordinal)
            ? new PromptTemplate(text[mark.Length..]) { SplitSpecialTokens = mark == SplitFormatMark }
            : throw new InvalidDataException(
                $"The stored prompt template is \"{text}\"; it must be \"{ChatMark}\", or begin with \"{FormatMark}\" and contain " +
                $"{Placeholder}. Save the model again with this version of the library.");
    }
}
