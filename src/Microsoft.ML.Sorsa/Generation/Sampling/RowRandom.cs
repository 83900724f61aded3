namespace Microsoft.ML.Sorsa.Generation.Sampling;

/// <summary>
/// Random numbers that belong to one prompt: the n-th is a function of seed, prompt and n alone (SplitMix64's finaliser, Steele et
/// al., OOPSLA 2014), so that neither the batch nor the order of the rows changes a draw.
/// </summary>
internal sealed class RowRandom
{
    private const ulong Step = 0x9E3779B97F4A7C15;

    private readonly ulong _key;

    public RowRandom(int seed, ReadOnlySpan<int> prompt)
    {
        _key = Mix((ulong)seed + Step);
        foreach (int id in prompt)
        {
            _key = Mix(_key + Step + (ulong)id);
        }
    }

    /// <summary>The n-th number, evenly distributed over [0, 1).</summary>
    public double Uniform(int n) => (Mix(_key + (Step * ((ulong)n + 1))) >> 11) * (1.0 / (1UL << 53));

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
