namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>How well a model predicts a text: <c>mlContext.Sorsa().EvaluateText(...)</c>.</summary>
/// <param name="Loss">Mean negative log-likelihood of a token, in nats: −(1/N) Σ ln p(token | what stands before it).</param>
/// <param name="Tokens">N, the tokens that were predicted.</param>
/// <remarks>Perplexities compare over the same tokens alone: models with another tokenizer have others.</remarks>
public sealed record TextPerplexity(double Loss, long Tokens)
{
    /// <summary>exp(Loss): of how many equally likely tokens the model would have had to choose, on average.</summary>
    public double Perplexity => Math.Exp(Loss);

    /// <summary>One line for people.</summary>
    public override string ToString() =>
        FormattableString.Invariant($"perplexity {Perplexity:G5} ({Loss:F4} nats a token, {Tokens} tokens)");
}
