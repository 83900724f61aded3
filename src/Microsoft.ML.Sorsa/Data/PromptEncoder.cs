using Microsoft.ML.Sorsa.Data.Chat;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>From a row's prompt to the tokens that the model reads, in training and in prediction alike.</summary>
internal sealed class PromptEncoder
{
    private readonly ChatTemplate? _chat;

    /// <exception cref="NotSupportedException">The template is the tokenizer's chat template, and that is not a known one.</exception>
    /// <exception cref="ArgumentException">The template is the tokenizer's chat template, and it has none.</exception>
    public PromptEncoder(ITextTokenizer tokenizer, PromptTemplate template)
    {
        Tokenizer = tokenizer;
        Template = template;
        _chat = template.RendersSpecialTokens && tokenizer.ChatTemplateText is { } text ? ChatTemplate.FromText(text) : null;

        // A template that cannot be applied is refused here, before any work, and not at the first row.
        _ = Apply("prompt");
    }

    public ITextTokenizer Tokenizer { get; }

    public PromptTemplate Template { get; }

    /// <summary>
    /// The token ids of a prompt in its template. BOS stands in front where the tokenizer puts one and the template does not.
    /// </summary>
    public int[] Encode(string prompt)
    {
        int[] ids = Tokenizer.Encode(Apply(prompt), addSpecialTokens: false);
        return Tokenizer.AddsBos && !Template.RendersSpecialTokens ? [Tokenizer.BosTokenId!.Value, .. ids] : ids;
    }

    private string Apply(string prompt) => Template.Apply(prompt, _chat, Tokenizer.BosToken, Tokenizer.EosToken);
}
