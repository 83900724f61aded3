using System.Numerics.Tensors;
using Microsoft.ML.Sorsa.Tensors;

namespace Microsoft.ML.Sorsa.Generation.Sampling;

/// <summary>Chooses the next token: the rules that the options ask for in their order, then the highest score or a draw.</summary>
internal sealed class TokenSampler
{
    private readonly ILogitsRule[] _rules;
    private readonly CountPenalty? _penalty;
    private readonly bool _greedy;

    public TokenSampler(GenerationOptions options)
    {
        options.Validate();
        _greedy = options.Temperature == 0;
        _penalty = options.FrequencyPenalty != 0 || options.PresencePenalty != 0
            ? new CountPenalty(options.FrequencyPenalty, options.PresencePenalty)
            : null;
        _rules = [.. Rules(options)];
    }

    /// <summary>It is the highest score, as the model gives it, of equal ones the first: nothing else is to be known of them.</summary>
    public bool TakesHighest => _greedy && _penalty is null && _rules.Length == 0;

    /// <param name="logits">One score per token of the vocabulary; used up.</param>
    /// <param name="seen">The tokens of the prompt and of the text so far.</param>
    /// <param name="uniform">A random number of [0, 1).</param>
    /// <param name="counts">How often each token stands in the text so far, without the prompt; null: there is none.</param>
    /// <returns>The id of the token.</returns>
    public int Choose(
        Span<float> logits, IReadOnlySet<int> seen, double uniform, IReadOnlyDictionary<int, int>? counts = null)
    {
        RequireFinite(TensorPrimitives.Max<float>(logits));
        if (counts is not null)
        {
            _penalty?.Apply(logits, counts);
        }

        foreach (ILogitsRule rule in _rules)
        {
            rule.Apply(logits, seen);
        }

        return _greedy ? TensorPrimitives.IndexOfMax<float>(logits) : Draw(Softmax.Of(logits), uniform);
    }

    /// <exception cref="InvalidDataException">The highest score is not finite.</exception>
    public static void RequireFinite(float highest)
    {
        if (!float.IsFinite(highest))
        {
            throw new InvalidDataException(
                "The model's scores for the next token are not finite numbers: its weights are damaged, or its compute type is too " +
                "narrow. Check the checkpoint, or compute in float32.");
        }
    }

    private static IEnumerable<ILogitsRule> Rules(GenerationOptions options)
    {
        if (options.RepetitionPenalty != 1)
        {
            yield return new RepetitionPenalty(options.RepetitionPenalty);
        }

        if (options.Temperature is not 0 and not 1)
        {
            yield return new Temperature(options.Temperature);
        }

        if (options.TopK > 0)
        {
            yield return new TopK(options.TopK);
        }

        if (options.TopP < 1)
        {
            yield return new TopP(options.TopP);
        }
    }

    /// <summary>The token in whose part of [0, 1) the number lies.</summary>
    private static int Draw(double[] probabilities, double uniform)
    {
        int last = 0;
        double reached = 0;
        for (int id = 0; id < probabilities.Length; id++)
        {
            if (probabilities[id] == 0)
            {
                continue;
            }

            last = id;
            reached += probabilities[id];
            if (uniform < reached)
            {
                break;
            }
        }

        return last;
    }
}

/// <summary>
/// Random numbers that belong to one prompt: the n-th is a function of seed, prompt and n alone (<see cref="SplitMix64"/>), so that
/// neither the batch nor the order of the rows changes a draw.
/// </summary>
internal sealed class RowRandom
{
    private readonly ulong _key;

    public RowRandom(long seed, ReadOnlySpan<int> prompt)
    {
        _key = SplitMix64.Mix((ulong)seed + SplitMix64.Step);
        foreach (int id in prompt)
        {
            _key = SplitMix64.Mix(_key + SplitMix64.Step + (ulong)id);
        }
    }

    /// <summary>The n-th number, evenly distributed over [0, 1).</summary>
    public double Uniform(int n) =>
        (SplitMix64.Mix(_key + (SplitMix64.Step * ((ulong)n + 1))) >> 11) * (1.0 / (1UL << 53));
}
