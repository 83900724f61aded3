using System.Buffers;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>
/// The merges of byte-pair encoding: which two neighbouring symbols become one, and in which order. Of all merges that a word allows, the
/// one of the lowest rank comes first, the leftmost among equals. The rank is the place in the merge list, not the id.
/// </summary>
internal sealed class MergeTable
{
    // Up to here looking at every pair again after each merge is faster than a queue.
    private const int ShortWord = 48;

    private const int NoMerge = int.MaxValue;

    private readonly Dictionary<Pair, Merge> _merges;

    private MergeTable(Dictionary<Pair, Merge> merges) => _merges = merges;

    /// <summary>All of them, the first to be made first; of equal rank those of the lower ids.</summary>
    public IEnumerable<(int Left, int Right, int Product)> InOrder => _merges
        .OrderBy(merge => merge.Value.Rank).ThenBy(merge => merge.Key.Left).ThenBy(merge => merge.Key.Right)
        .Select(merge => (merge.Key.Left, merge.Key.Right, merge.Value.Id));

    /// <summary>The ids that merges lead to.</summary>
    public IEnumerable<int> Products => _merges.Values.Select(merge => merge.Id);

    /// <summary>
    /// The merges in the order of a list; of a pair that comes twice the last place counts, as in the tokenizers library.
    /// </summary>
    public static MergeTable FromList(IReadOnlyCollection<(int Left, int Right, int Product)> list)
    {
        Dictionary<Pair, Merge> merges = new(list.Count);
        int rank = 0;
        foreach ((int left, int right, int product) in list)
        {
            merges[new Pair(left, right)] = new Merge(rank++, product);
        }

        return new MergeTable(merges);
    }

    /// <summary>
    /// The merges that a vocabulary implies where a file lists none (SentencePiece, tiktoken): any two tokens with a rank merge into the
    /// token with a rank that they spell, in the order of the products' ranks.
    /// </summary>
    public static MergeTable FromRanks(Vocabulary vocabulary, IReadOnlyDictionary<int, int> ranks)
    {
        Dictionary<Pair, Merge> merges = [];
        foreach ((int product, int rank) in ranks)
        {
            ReadOnlySpan<char> token = vocabulary[product];
            for (int cut = 1; cut < token.Length; cut++)
            {
                if (vocabulary.TryFind(token[..cut], out int left) && vocabulary.TryFind(token[cut..], out int right)
                    && ranks.ContainsKey(left) && ranks.ContainsKey(right))
                {
                    merges[new Pair(left, right)] = new Merge(rank, product);
                }
            }
        }

        return new MergeTable(merges);
    }

    /// <summary>Whether these two neighbours can become one.</summary>
    public bool Has(int left, int right) => _merges.ContainsKey(new Pair(left, right));

    /// <summary>Merges symbols in place and returns how many are left.</summary>
    public int Apply(Span<int> symbols) => symbols.Length <= ShortWord ? ApplyToShort(symbols) : ApplyToLong(symbols);

    private int ApplyToShort(Span<int> symbols)
    {
        int count = symbols.Length;
        Span<Merge> pairs = stackalloc Merge[ShortWord];
        for (int i = 0; i + 1 < count; i++)
        {
            pairs[i] = Find(symbols[i], symbols[i + 1]);
        }

        while (count > 1)
        {
            int best = 0;
            for (int i = 1; i + 1 < count; i++)
            {
                if (pairs[i].Rank < pairs[best].Rank)
                {
                    best = i;
                }
            }

            if (pairs[best].Rank == NoMerge)
            {
                break;
            }

            symbols[best] = pairs[best].Id;
            symbols[(best + 2)..count].CopyTo(symbols[(best + 1)..]);
            pairs[(best + 1)..(count - 1)].CopyTo(pairs[best..]);
            count--;
            if (best > 0)
            {
                pairs[best - 1] = Find(symbols[best - 1], symbols[best]);
            }

            if (best + 1 < count)
            {
                pairs[best] = Find(symbols[best], symbols[best + 1]);
            }
        }

        return count;
    }

    /// <summary>
    /// A linked list of symbols and a queue of the merges seen: n log n, so that a megabyte without a space is no trap. A merge whose
    /// symbols have changed is recognised in its turn: symbols only grow, so the same product at the same place is the same merge.
    /// </summary>
    private int ApplyToLong(Span<int> symbols)
    {
        int count = symbols.Length;
        int[] next = ArrayPool<int>.Shared.Rent(count);
        int[] previous = ArrayPool<int>.Shared.Rent(count);
        PriorityQueue<int, long> queue = new(count);
        for (int i = 0; i < count; i++)
        {
            next[i] = i + 1;
            previous[i] = i - 1;
            if (i + 1 < count)
            {
                Enqueue(queue, i, symbols[i], symbols[i + 1]);
            }
        }

        while (queue.TryDequeue(out int product, out long order))
        {
            int at = (int)order;
            int right = next[at];
            if (symbols[at] < 0 || right >= count || Find(symbols[at], symbols[right]).Id != product)
            {
                continue;
            }

            symbols[at] = product;
            symbols[right] = -1;
            next[at] = next[right];
            if (next[at] < count)
            {
                previous[next[at]] = at;
                Enqueue(queue, at, product, symbols[next[at]]);
            }

            if (previous[at] >= 0)
            {
                Enqueue(queue, previous[at], symbols[previous[at]], product);
            }
        }

        ArrayPool<int>.Shared.Return(next);
        ArrayPool<int>.Shared.Return(previous);
        int kept = 0;
        foreach (int symbol in symbols)
        {
            if (symbol >= 0)
            {
                symbols[kept++] = symbol;
            }
        }

        return kept;
    }

    private void Enqueue(PriorityQueue<int, long> queue, int at, int left, int right)
    {
        Merge merge = Find(left, right);
        if (merge.Rank != NoMerge)
        {
            queue.Enqueue(merge.Id, ((long)merge.Rank << 32) | (uint)at);
        }
    }

    private Merge Find(int left, int right)
    {
        ref Merge merge = ref CollectionsMarshal.GetValueRefOrNullRef(_merges, new Pair(left, right));
        return Unsafe.IsNullRef(ref merge) ? new Merge(NoMerge, -1) : merge;
    }

    private readonly record struct Merge(int Rank, int Id);

    private readonly record struct Pair(int Left, int Right)
    {
        // Ids are small and dense: the default would put thousands of pairs in one place.
        public override int GetHashCode() => (int)(((uint)Left * 0x9E3779B1) ^ BitOperations.RotateLeft((uint)Right * 0x85EBCA77, 16));
    }
}
