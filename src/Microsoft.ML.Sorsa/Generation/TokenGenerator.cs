using Microsoft.ML.Sorsa.Generation.Sampling;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>Continues prompts of token ids, in batches of rows of similar length.</summary>
internal sealed class TokenGenerator
{
    private readonly ILanguageModel _model;
    private readonly GenerationOptions _options;
    private readonly TokenSampler _sampler;
    private readonly IReadOnlySet<int> _endTokens;

    /// <param name="model">Not owned. Adapters with dropout must have been put into evaluation mode.</param>
    /// <param name="options">Checked here.</param>
    /// <param name="endTokens">Ids that end a text.</param>
    public TokenGenerator(ILanguageModel model, GenerationOptions options, IEnumerable<int> endTokens)
        : this(model, options, endTokens.ToHashSet())
    {
    }

    private TokenGenerator(ILanguageModel model, GenerationOptions options, IReadOnlySet<int> endTokens)
    {
        _model = model;
        _options = options;
        _sampler = new TokenSampler(options);
        _endTokens = endTokens;
    }

    /// <summary>The same model with other options.</summary>
    public TokenGenerator With(GenerationOptions options) => new(_model, options, _endTokens);

    /// <summary>Makes a row of a prompt that nothing is wrong with.</summary>
    /// <param name="prompt">Token ids.</param>
    /// <param name="index">Its place among the prompts, for errors; null: it comes alone.</param>
    /// <param name="text">See <see cref="GenerationRow"/>.</param>
    /// <param name="seed">Null: the options' own.</param>
    public GenerationRow CreateRow(int[] prompt, int? index, GeneratedText? text = null, long? seed = null)
    {
        return Refuse(prompt) is { } problem
            ? throw new ArgumentException($"{(index is null ? "The prompt" : $"Prompt {index}")} {problem}", nameof(prompt))
            : new GenerationRow(
                prompt, Math.Min(_options.MaxNewTokens, _model.MaxPositions - prompt.Length), seed ?? _options.Seed, _sampler, _endTokens,
                text);
    }

    /// <summary>What is wrong with a prompt of these ids, as the end of a sentence about it; null: nothing.</summary>
    public string? Refuse(int[] prompt)
    {
        int positions = _model.MaxPositions, vocabulary = _model.VocabularySize;
        return prompt.Length == 0
            ? "has 0 tokens; at least 1 is needed to start from. Give a text, or a tokenizer that puts a begin token in front."
            : prompt.Length > positions - 1
            ? $"has {prompt.Length} tokens; the model has {positions} positions, so that at most {positions - 1} leave room for a new " +
                $"token. Shorten the prompt, have it cut by a MaxPromptLength of {positions - 1} or less, or use a model with more " +
                "positions."
            : Array.Find(prompt, id => id < 0 || id >= vocabulary) is var alien && (alien < 0 || alien >= vocabulary)
            ? $"has the token id {alien}; the model's ids are 0 to {vocabulary - 1}. Use the tokenizer of this model."
            : null;
    }

    /// <summary>Generates until every row is finished.</summary>
    public void Complete(IReadOnlyList<GenerationRow> rows, CancellationToken cancellationToken)
    {
        // Similar lengths together, so that little is padding; the longest first, so that memory runs out early or not at all.
        foreach (GenerationRow[] batch in rows.OrderByDescending(row => row.Prompt.Length).Chunk(_options.BatchSize))
        {
            foreach (GenerationRow[] _ in Steps(batch, cancellationToken))
            {
            }
        }
    }

    /// <summary>Generates for rows that are decoded together, one token of each per element, until all of them are finished.</summary>
    /// <remarks>No dispose scope and no gradient mode, which belong to a thread, stay open between two elements.</remarks>
    public IEnumerable<GenerationRow[]> Steps(GenerationRow[] rows, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();

        // The last new token is never read.
        using var batch = new GenerationBatch(_model.Start(rows.Max(row => row.Limit) - 1));
        batch.Add(rows);
        yield return rows;

        while (batch.Rows.Count > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            batch.Step();
            yield return rows;
        }
    }
}
