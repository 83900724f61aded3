using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>Every trial drawn anew, whatever the others gave (Bergstra and Bengio, JMLR 2012).</summary>
public sealed class RandomSearchTuner : ITuner
{
    /// <inheritdoc/>
    public string Description => "random search";

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, object?>? Propose(SorsaSearchSpace space, int trialId, TrialHistory history, int seed)
    {
        ArgumentNullException.ThrowIfNull(space);
        return space.Parameters((name, option) => option.At(SeededDraw.Uniform(seed, FormattableString.Invariant($"{trialId}/{name}"))));
    }
}

/// <summary>Numbers that follow from a seed and a name alone: whoever asks, whenever, and how often.</summary>
internal static class SeededDraw
{
    /// <summary>Uniform from 0 up to 1: the first 53 bits of SHA-256 over the seed and the name.</summary>
    public static double Uniform(int seed, string name)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(FormattableString.Invariant($"{seed}/{name}")), hash);
        return (BinaryPrimitives.ReadUInt64LittleEndian(hash) >> 11) * (1.0 / (1UL << 53));
    }

    /// <summary>0 to count − 1 in an order of their own.</summary>
    public static int[] Permutation(int seed, string name, int count) =>
        [.. Enumerable.Range(0, count).OrderBy(i => Uniform(seed, FormattableString.Invariant($"{name}/{i}")))];
}
