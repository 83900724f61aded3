using System.Globalization;
using Microsoft.ML.Sorsa.Data.Chat;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>From a row's prompt to the tokens that the model reads, in training and in prediction alike.</summary>
internal sealed class PromptEncoder
{
    private const string LengthMark = " tokens at most; ", DefaultMark = "chosen by nobody; ";

    private readonly ChatTemplate? _chat;

    /// <param name="tokenizer">The model's.</param>
    /// <param name="template">What stands around a prompt.</param>
    /// <param name="maxPromptLength">Tokens of a prompt, its template and BOS included, before it is cut; null: it is not cut.</param>
    /// <param name="chat">The chat template; null: the tokenizer's.</param>
    /// <exception cref="NotSupportedException">
    /// The template is the tokenizer's chat template, and that is not a known one; the tokenizer cannot split special tokens.
    /// </exception>
    /// <exception cref="ArgumentException">
    /// The template is the tokenizer's chat template, and it has none; the template leaves no room for a prompt.
    /// </exception>
    public PromptEncoder(ITextTokenizer tokenizer, PromptTemplate template, int? maxPromptLength = null, ChatTemplate? chat = null)
    {
        Tokenizer = tokenizer;
        Template = template;
        MaxLength = maxPromptLength;
        _chat = !template.RendersSpecialTokens ? null
            : chat ?? (tokenizer.ChatTemplateText is { } text ? ChatTemplate.FromText(text, tokenizer.ToolTemplateText) : null);
        EndOfTurnId = template.EndOfTurn(_chat) is { } end ? tokenizer.Find(end) : null;

        // A template that cannot be applied is refused here, before any work, and not at the first row.
        int frame = EncodeWhole("").Length;
        if (frame >= maxPromptLength)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"MaxPromptLength is {maxPromptLength}, and the prompt template alone has {frame} tokens: nothing of a prompt is left. " +
                $"Set MaxPromptLength to {frame} and the tokens of the longest prompt, or choose a shorter template."),
                nameof(maxPromptLength));
        }
    }

    public ITextTokenizer Tokenizer { get; }

    public PromptTemplate Template { get; }

    /// <summary>
    /// Nobody chose the template: a chat takes the tokenizer's own, where there is one, and a model card says nothing of it.
    /// </summary>
    public bool TemplateIsDefault { get; init; }

    /// <summary>Tokens of a prompt, its template and BOS included, before it is cut; null: it is not cut.</summary>
    public int? MaxLength { get; }

    /// <summary>The token that the template puts behind an answer, where that is one and not the tokenizer's EOS token.</summary>
    public int? EndOfTurnId { get; }

    /// <summary>The name of the chat template; null: the template is a format.</summary>
    public string? ChatTemplateName => _chat?.Name;

    /// <summary>How the chat template has tools; null: it has no place for them.</summary>
    public ToolFormat? Tools => _chat?.Tools;

    /// <summary>The token ids of a conversation before the next answer, never cut.</summary>
    /// <param name="messages">At least one.</param>
    /// <param name="tools">What the model may call.</param>
    /// <exception cref="InvalidDataException">The template refuses the messages; the text is its reason.</exception>
    public int[] Encode(IReadOnlyList<ChatMessage> messages, IReadOnlyList<ChatTool> tools) =>
        Encode(Template.Apply(messages, tools, _chat, Tokenizer.BosToken, Tokenizer.EosToken));

    /// <inheritdoc cref="Encode(string, out int)"/>
    public int[] Encode(string prompt) => Encode(prompt, out _);

    /// <summary>
    /// The token ids of a prompt in its template, at most <see cref="MaxLength"/>: a longer prompt loses the end of its own text, and the
    /// template around it stays whole. BOS stands in front where the tokenizer puts one and the template does not.
    /// </summary>
    /// <param name="prompt">A row's prompt, without its template.</param>
    /// <param name="length">How many ids it has uncut.</param>
    public int[] Encode(string prompt, out int length)
    {
        int[] ids = EncodeWhole(prompt);
        length = ids.Length;
        return length <= MaxLength || MaxLength is null ? ids : Cut(prompt, length, MaxLength.Value);
    }

    /// <summary>
    /// A prompt in its template, never cut, and a text behind it, encoded as lm-evaluation-harness does: both together as one text, of
    /// which what lies behind as many ids as the prompt alone has is the second. White space that ends the template belongs to the second,
    /// since most tokenizers put it into the next word's token; where there is none, one blank stands between the two.
    /// </summary>
    /// <param name="prompt">Without its template.</param>
    /// <param name="continuation">What follows it.</param>
    /// <returns>The second text's ids are the labels; there may be none.</returns>
    public SupervisedExample EncodePair(string prompt, string continuation)
    {
        TemplatedText text = Apply(prompt);
        string first = text.Text.TrimEnd(), space = text.Text[first.Length..];
        Range[] contents = [.. text.Contents
            .Select(range => Math.Min(range.Start.Value, first.Length)..Math.Min(range.End.Value, first.Length))
            .Where(range => !range.Start.Equals(range.End))];
        int[] own = Encode(first, contents);
        int[] whole = Encode($"{first}{(space.Length > 0 ? space : " ")}{continuation}", contents);

        // A text out of nothing starts where all texts start.
        int[] start = own.Length == 0 && (Tokenizer.BosTokenId ?? Tokenizer.EosTokenId) is int begin ? [begin] : own;
        return new SupervisedExample([.. start, .. whole.AsSpan(Math.Min(own.Length, whole.Length))], start.Length);
    }

    /// <summary>
    /// The token ids of a prompt in its template with the response behind it, as one text: a token may span the border. Uncut. What is
    /// written in the response is found as a special token, as in any response.
    /// </summary>
    /// <param name="prompt">A row's prompt, without its template.</param>
    /// <param name="response">What follows the template.</param>
    public int[] EncodeWith(string prompt, string response)
    {
        TemplatedText text = Apply(prompt);
        int end = text.Text.Length;
        return Encode(text.Append(response), end);
    }

    /// <summary>
    /// One string from which <see cref="Deserialize"/> makes an encoder of the same ids over the same tokenizer. Of a template that was
    /// chosen, without a length, it is the template's, as version 0.1 wrote it.
    /// </summary>
    public string Serialize()
    {
        string length = MaxLength is null ? "" : string.Create(CultureInfo.InvariantCulture, $"{MaxLength}{LengthMark}");
        return length + (TemplateIsDefault ? DefaultMark : "") + Template.Serialize();
    }

    /// <exception cref="InvalidDataException">The text is not one that <see cref="Serialize"/> writes.</exception>
    public static PromptEncoder Deserialize(ITextTokenizer tokenizer, string text)
    {
        string[] parts = text.Split(LengthMark, 2);
        int? length = parts.Length == 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int most)
            ? most
            : null;
        string template = length is null ? text : parts[1];
        bool isDefault = template.StartsWith(DefaultMark, StringComparison.Ordinal);
        return new PromptEncoder(tokenizer, PromptTemplate.Deserialize(isDefault ? template[DefaultMark.Length..] : template), length)
        {
            TemplateIsDefault = isDefault,
        };
    }

    private int[] EncodeWhole(string prompt) => Encode(Apply(prompt));

    private int[] Encode(TemplatedText text, int? templateEnd = null) =>
        Encode(text.Text, text.Contents, templateEnd);

    /// <summary>Text of the template and, in these stretches, of somebody else.</summary>
    private int[] Encode(string text, IReadOnlyList<Range> contents, int? templateEnd = null)
    {
        int[] ids = Tokenizer.Encode(text, addSpecialTokens: false, Template.SplitSpecialTokens ? contents : [], templateEnd);
        bool bos = Tokenizer.AddsBos && !Template.RendersSpecialTokens && (ids.Length == 0 || ids[0] != Tokenizer.BosTokenId);
        return bos ? [Tokenizer.BosTokenId!.Value, .. ids] : ids;
    }

    /// <summary>Takes tokens from the end of the prompt's own text until the whole fits.</summary>
    private int[] Cut(string prompt, int length, int maxLength)
    {
        int places = Math.Max(Apply(prompt).Contents.Count, 1);
        int[] own = Tokenizer.Encode(prompt, addSpecialTokens: false, Template.SplitSpecialTokens ? [Range.EndAt(prompt.Length)] : []);
        int kept = own.Length;
        for (int excess = length - maxLength; ;)
        {
            kept -= (excess + places - 1) / places;
            int[] ids = EncodeWhole(kept > 0 ? Beginning(prompt, own.AsSpan(0, kept)) : "");
            excess = ids.Length - maxLength;
            if (excess <= 0)
            {
                return ids;
            }
        }
    }

    /// <summary>As much of a prompt as its first tokens say.</summary>
    private string Beginning(string prompt, ReadOnlySpan<int> ids)
    {
        ITextStream stream = Tokenizer.CreateStream();
        int length = 0;
        foreach (int id in ids)
        {
            length += stream.Push(id).Length + (Tokenizer.SpecialText(id)?.Length ?? 0);
        }

        length = Math.Min(length, prompt.Length);
        return prompt[..(length > 0 && char.IsHighSurrogate(prompt[length - 1]) ? length - 1 : length)];
    }

    private TemplatedText Apply(string prompt) => Template.Apply(prompt, _chat, Tokenizer.BosToken, Tokenizer.EosToken);
}
