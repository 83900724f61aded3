namespace Microsoft.ML.Sorsa.Generation.Sampling;

/// <summary>Fan et al., arXiv 1805.04833: only scores at least as high as the Count-th highest stay.</summary>
internal sealed record TopK(int Count) : ILogitsRule
{
    public void Apply(Span<float> logits, IReadOnlySet<int> seen)
    {
        if (Count >= logits.Length)
        {
            return;
        }

        // The Count highest so far, the lowest of them on top: most scores are turned away by one comparison.
        var highest = new PriorityQueue<float, float>(Count);
        foreach (float logit in logits)
        {
            if (highest.Count < Count)
            {
                highest.Enqueue(logit, logit);
            }
            else if (logit > highest.Peek())
            {
                highest.DequeueEnqueue(logit, logit);
            }
        }

        float lowest = highest.Peek();
        foreach (ref float logit in logits)
        {
            logit = logit < lowest ? float.NegativeInfinity : logit;
        }
    }
}
