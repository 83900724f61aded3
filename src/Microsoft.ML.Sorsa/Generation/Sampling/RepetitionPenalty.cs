namespace Microsoft.ML.Sorsa.Generation.Sampling;

/// <summary>Keskar et al., arXiv 1909.05858: z / penalty where z ≥ 0, z · penalty where z &lt; 0, once for every token seen.</summary>
internal sealed record RepetitionPenalty(double Penalty) : ILogitsRule
{
    public void Apply(Span<float> logits, IReadOnlySet<int> seen)
    {
        float penalty = (float)Penalty;
        foreach (int id in seen)
        {
            logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
        }
    }
}
