namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// SplitMix64's finaliser (Steele et al., OOPSLA 2014): neighbouring numbers, such as counters, become numbers that have nothing to do with
/// each other.
/// </summary>
internal static class SplitMix64
{
    /// <summary>What a counter goes on by between two numbers of one sequence.</summary>
    public const ulong Step = 0x9E3779B97F4A7C15;

    /// <summary>A one-to-one map of 64 bits, each of which depends on all.</summary>
    public static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
