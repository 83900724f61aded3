namespace Microsoft.ML.Sorsa.Generation.Sampling;

/// <summary>One method that reshapes the scores of the next token before it is chosen; rules are applied one after another.</summary>
internal interface ILogitsRule
{
    /// <param name="logits">One score per token of the vocabulary, changed in place; −∞ excludes a token.</param>
    /// <param name="seen">The tokens of the prompt and of the text so far.</param>
    void Apply(Span<float> logits, IReadOnlySet<int> seen);
}
