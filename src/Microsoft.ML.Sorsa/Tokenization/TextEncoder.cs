namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// From a text to ids, in the order of the tokenizers library: added tokens in the text as it is; the normalizer over what lies between
/// them; the added tokens that are normalised themselves, in its result; then the pre-tokenizer and the model.
/// </summary>
internal sealed class TextEncoder
{
    private readonly TokenizerPipeline _pipeline;
    private readonly AddedTokens _tokens;
    private readonly AddedTokens _normalizedTokens;

    public TextEncoder(TokenizerPipeline pipeline, IReadOnlyCollection<AddedToken> tokens)
    {
        _pipeline = pipeline;
        _tokens = new AddedTokens(tokens.Where(token => !token.Normalized).Select(token => (token.Content, token)));
        _normalizedTokens = new AddedTokens(tokens
            .Where(token => token.Normalized)
            .Select(token => (Normalize(token.Content), token)));
    }

    /// <summary>What the normalizer makes of a text of its own.</summary>
    public string Normalize(string text) => Apply(_pipeline.Normalizer, text, atStart: true);

    /// <summary>Appends the ids of a text without lone surrogates.</summary>
    /// <param name="text">The text.</param>
    /// <param name="plain">Stretches of it that are ordinary text; null: none.</param>
    /// <param name="ids">Where the ids go.</param>
    public void Encode(ReadOnlySpan<char> text, PlainStretches? plain, List<int> ids)
    {
        for (int from = 0; from < text.Length;)
        {
            AddedToken? token = _tokens.FindNext(text, from, plain, out int start, out int end);
            if (start > from)
            {
                EncodeBetween(text[from..start], from, plain, ids);
            }

            if (token is not null)
            {
                ids.Add(token.Id);
            }

            from = end;
        }
    }

    private void EncodeBetween(ReadOnlySpan<char> stretch, int offset, PlainStretches? plain, List<int> ids)
    {
        bool atStart = offset == 0;
        string written = plain is null || _normalizedTokens.IsEmpty ? "" : stretch.ToString();
        plain = plain?.Within(offset, written.Length, place => Apply(_pipeline.Normalizer, written[..place], atStart).Length);
        if (_pipeline.Normalizer.Count > 0)
        {
            stretch = Apply(_pipeline.Normalizer, stretch.ToString(), atStart);
        }

        if (_normalizedTokens.IsEmpty)
        {
            EncodeWords(stretch, atStart, ids);
            return;
        }

        for (int from = 0; from < stretch.Length;)
        {
            AddedToken? token = _normalizedTokens.FindNext(stretch, from, plain, out int start, out int end);
            EncodeWords(stretch[from..start], atStart && from == 0, ids);
            if (token is not null)
            {
                ids.Add(token.Id);
            }

            from = end;
        }
    }

    private void EncodeWords(ReadOnlySpan<char> text, bool atStart, List<int> ids)
    {
        if (_pipeline.Rewrites.Count > 0)
        {
            text = Apply(_pipeline.Rewrites, text.ToString(), atStart);
        }

        if (!text.IsEmpty)
        {
            _pipeline.Encoder.Accept(text, ids);
        }
    }

    private static string Apply(IReadOnlyList<TextRewrite> rewrites, string text, bool atStart)
    {
        foreach (TextRewrite rewrite in rewrites)
        {
            text = rewrite.Apply(text, atStart);
        }

        return text;
    }
}
