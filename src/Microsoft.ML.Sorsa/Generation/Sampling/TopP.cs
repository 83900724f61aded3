namespace Microsoft.ML.Sorsa.Generation.Sampling;

/// <summary>
/// Nucleus sampling (Holtzman et al., arXiv 1904.09751): the fewest most likely tokens whose probability together reaches Mass
/// stay, at least one. Of equally likely tokens the one with the lower id goes first.
/// </summary>
internal sealed record TopP(double Mass) : ILogitsRule
{
    public void Apply(Span<float> logits, IReadOnlySet<int> seen)
    {
        double[] probabilities = Softmax.Of(logits);

        // Tokens below (1 − Mass) / V hold less than 1 − Mass all together, so that none of them is in the nucleus: few are sorted.
        double negligible = (1 - Mass) / probabilities.Length;
        int[] candidates = [.. Enumerable.Range(0, probabilities.Length).Where(id => probabilities[id] >= negligible)];
        Array.Sort(candidates, (a, b) => probabilities[b].CompareTo(probabilities[a]) is var order and not 0 ? order : a.CompareTo(b));

        var nucleus = new float[logits.Length];
        Array.Fill(nucleus, float.NegativeInfinity);
        double reached = 0;
        foreach (int id in candidates)
        {
            nucleus[id] = logits[id];
            reached += probabilities[id];
            if (reached >= Mass)
            {
                break;
            }
        }

        nucleus.CopyTo(logits);
    }
}
