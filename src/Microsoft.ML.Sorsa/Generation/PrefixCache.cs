using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>
/// Keys and values of texts that were decoded, for those that begin alike: the next turn of a conversation, or another one under the same
/// instructions. Those not used for longest go first. It belongs to one thread at a time.
/// </summary>
/// <param name="capacity">Tokens that are kept, all texts together; 0: none.</param>
internal sealed class PrefixCache(int capacity) : IDisposable
{
    private readonly LinkedList<Prefix> _prefixes = [];     // the last used one in front

    /// <summary>The adapter whose keys and values are asked for and stored; null: the model without one.</summary>
    public string? Adapter { get; set; }

    /// <summary>Tokens that are there.</summary>
    public int Length => _prefixes.Sum(prefix => prefix.Ids.Length);

    /// <summary>The longest beginning of a text that is there.</summary>
    /// <param name="ids">The text.</param>
    /// <returns>Whose first tokens they are, and how many; null where there is none.</returns>
    public (KVCache Cache, int Length)? Find(ReadOnlySpan<int> ids)
    {
        LinkedListNode<Prefix>? longest = null;
        int length = 0;
        for (LinkedListNode<Prefix>? node = _prefixes.First; node is not null; node = node.Next)
        {
            int common = node.Value.Adapter == Adapter ? ids.CommonPrefixLength(node.Value.Ids) : 0;
            if (common > length)
            {
                (longest, length) = (node, common);
            }
        }

        if (longest is null)
        {
            return null;
        }

        _prefixes.Remove(longest);
        _prefixes.AddFirst(longest);
        return (longest.Value.Cache, length);
    }

    /// <summary>Keeps a text, or as much of its beginning as there is room for, unless it is there.</summary>
    /// <param name="ids">The text.</param>
    /// <param name="copy">Makes a cache of this many of its tokens, one row; it is owned from then on.</param>
    public void Store(int[] ids, Func<int, KVCache> copy)
    {
        int[] kept = ids.Length <= capacity ? ids : ids[..capacity];
        if (kept.Length == 0 || _prefixes.Any(prefix => prefix.Adapter == Adapter && prefix.Ids.AsSpan().StartsWith(kept)))
        {
            return;
        }

        for (LinkedListNode<Prefix>? node = _prefixes.First; node is not null;)
        {
            LinkedListNode<Prefix>? next = node.Next;
            if (node.Value.Adapter == Adapter && kept.AsSpan().StartsWith(node.Value.Ids))
            {
                Drop(node);
            }

            node = next;
        }

        while (Length + kept.Length > capacity)
        {
            Drop(_prefixes.Last!);
        }

        _prefixes.AddFirst(new Prefix(Adapter, kept, copy(kept.Length)));
    }

    public void Dispose()
    {
        while (_prefixes.Last is { } last)
        {
            Drop(last);
        }
    }

    private void Drop(LinkedListNode<Prefix> node)
    {
        _prefixes.Remove(node);
        node.Value.Cache.Dispose();
    }

    private sealed record Prefix(string? Adapter, int[] Ids, KVCache Cache);
}
