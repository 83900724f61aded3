using System.Numerics;
using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>Sums of all ranks against those that each rank makes by itself, in the order of the ranks, to the bit.</summary>
internal static class MpiSums
{
    /// <summary>None, fewer than ranks, odd ones, and more than are sent at a time.</summary>
    private static readonly int[] s_sizes = [0, 1, 2, 3, 5, 7, 1001, 9_000_001];

    public static void Verify(ITrainingRanks ranks)
    {
        foreach (int size in s_sizes)
        {
            Verify<float>(ranks, size, values => ranks.Sum(values));
            Verify<double>(ranks, Math.Min(size, 100_000), values => ranks.Sum(values));
        }

        byte[] first = Bytes(0, 77), sent = Bytes(ranks.Rank, 77);
        ranks.Broadcast(sent);
        CollectionAssert.AreEqual(first, sent);
        IReadOnlyList<byte[]> said = ranks.Gather(Bytes(ranks.Rank, 1 + ranks.Rank));
        for (int rank = 0; rank < ranks.Count; rank++)
        {
            CollectionAssert.AreEqual(Bytes(rank, 1 + rank), said[rank]);
        }
    }

    private static void Verify<T>(ITrainingRanks ranks, int size, SumOf<T> sum)
        where T : unmanaged, INumber<T>
    {
        T[] expected = Values<T>(0, size), actual = Values<T>(ranks.Rank, size);
        for (int rank = 1; rank < ranks.Count; rank++)
        {
            T[] added = Values<T>(rank, size);
            for (int i = 0; i < size; i++)
            {
                expected[i] += added[i];
            }
        }

        sum(actual);
        Assert.IsTrue(
            MemoryMarshal.AsBytes(expected.AsSpan()).SequenceEqual(MemoryMarshal.AsBytes(actual.AsSpan())), $"{size} {typeof(T).Name}");
    }

    /// <summary>Of many sizes, so that another order of summation is seen.</summary>
    private static T[] Values<T>(int rank, int size)
        where T : INumber<T>
    {
        var random = new Random((31 * size) + rank);
        return [.. Enumerable.Range(0, size).Select(_ => T.CreateChecked((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-3, 4))))];
    }

    private static byte[] Bytes(int rank, int size)
    {
        byte[] bytes = new byte[size];
        new Random(rank).NextBytes(bytes);
        return bytes;
    }

    private delegate void SumOf<T>(Span<T> values);
}
