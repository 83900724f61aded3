using System.Numerics.Tensors;

namespace Microsoft.ML.Sorsa.Generation.Sampling;

/// <summary>One method that reshapes the scores of the next token before it is chosen; rules are applied one after another.</summary>
internal interface ILogitsRule
{
    /// <param name="logits">One score per token of the vocabulary, changed in place; −∞ excludes a token.</param>
    /// <param name="seen">The tokens of the prompt and of the text so far.</param>
    void Apply(Span<float> logits, IReadOnlySet<int> seen);
}

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

/// <summary>z / T. The highest score is put to 0 first, which changes no probability and keeps a tiny T from overflowing.</summary>
internal sealed record Temperature(double Value) : ILogitsRule
{
    public void Apply(Span<float> logits, IReadOnlySet<int> seen)
    {
        TensorPrimitives.Subtract(logits, TensorPrimitives.Max<float>(logits), logits);
        for (int id = 0; id < logits.Length; id++)
        {
            logits[id] = (float)(logits[id] / Value);
        }
    }
}

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

/// <summary>
/// OpenAI's penalties: z − n · Frequency − Presence for every token that stands n times in the text so far; the prompt does not count.
/// </summary>
internal sealed record CountPenalty(double Frequency, double Presence)
{
    /// <param name="logits">One score per token of the vocabulary, changed in place.</param>
    /// <param name="counts">How often each token stands in the text so far.</param>
    public void Apply(Span<float> logits, IReadOnlyDictionary<int, int> counts)
    {
        foreach ((int id, int count) in counts)
        {
            logits[id] -= (float)((count * Frequency) + Presence);
        }
    }
}

/// <summary>p_i = exp(z_i) / Σ exp(z_j), in float64.</summary>
internal static class Softmax
{
    /// <param name="logits">At least one of them finite; −∞ gives 0.</param>
    public static double[] Of(ReadOnlySpan<float> logits)
    {
        var probabilities = new double[logits.Length];
        double highest = TensorPrimitives.Max(logits);
        for (int id = 0; id < logits.Length; id++)
        {
            probabilities[id] = Math.Exp(logits[id] - highest);
        }

        TensorPrimitives.Divide(probabilities, TensorPrimitives.Sum<double>(probabilities), probabilities);
        return probabilities;
    }
}
