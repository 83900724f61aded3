using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// Keys and values of the tokens that were seen, per layer [B, key-value heads, capacity, d], allocated once: a step writes its
/// own tokens behind the past and copies nothing of it.
/// </summary>
internal sealed class KVCache : IDisposable
{
    private readonly Tensor[] _keys;
    private readonly Tensor[] _values;

    public KVCache(DecoderSpec spec, long batchSize, int capacity, ScalarType type, Device device)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        Capacity = capacity;
        _keys = Allocate();
        _values = Allocate();

        Tensor[] Allocate() => [.. Enumerable.Range(0, spec.LayerCount).Select(_ =>
            empty([batchSize, spec.Attention.KeyValueHeadCount, capacity, spec.Attention.HeadDim], type, device).DetachFromDisposeScope())];
    }

    private KVCache(Tensor[] keys, Tensor[] values, int capacity, int length)
    {
        (_keys, _values, Capacity, Length) = (keys, values, capacity, length);
    }

    /// <summary>Tokens that fit.</summary>
    public int Capacity { get; }

    /// <summary>Tokens that are there, padding included.</summary>
    public int Length { get; private set; }

    /// <summary>Writes the keys and values [B, heads, T, d] of one layer behind the past and gives views of all of them.</summary>
    public (Tensor Keys, Tensor Values) Append(int layer, Tensor keys, Tensor values)
    {
        return (Write(_keys[layer], keys), Write(_values[layer], values));

        Tensor Write(Tensor all, Tensor added)
        {
            long tokens = added.size(2);
            all.narrow(2, Length, tokens).copy_(added);
            return all.narrow(2, 0, Length + tokens);
        }
    }

    /// <summary>Every layer has appended these tokens.</summary>
    public void Advance(int tokens) => Length += tokens;

    /// <summary>
    /// Copies rows of some caches, one below the other, so that all of them end in the same column; what is free in front of a shorter one
    /// is zeros.
    /// </summary>
    /// <param name="blocks">At least one.</param>
    /// <param name="capacity">Tokens that fit, at least the longest block's.</param>
    /// <param name="consume">Frees the caches that were copied, layer by layer, so that little is there twice.</param>
    public static KVCache Stack(IReadOnlyList<KVCacheBlock> blocks, int capacity, bool consume)
    {
        using var noGrad = no_grad();
        long rows = blocks.Sum(block => block.RowCount);
        int length = blocks.Max(block => block.Length);
        return new KVCache(Stacked(cache => cache._keys), Stacked(cache => cache._values), capacity, length);

        Tensor[] Stacked(Func<KVCache, Tensor[]> of)
        {
            var stacked = new Tensor[of(blocks[0].Cache).Length];
            for (int layer = 0; layer < stacked.Length; layer++)
            {
                using var scope = NewDisposeScope();
                Tensor first = of(blocks[0].Cache)[layer];
                Tensor all = empty([rows, first.shape[1], capacity, first.shape[3]], first.dtype, first.device);
                long row = 0;
                foreach (KVCacheBlock block in blocks)
                {
                    Tensor place = all.narrow(0, row, block.RowCount);
                    int free = length - block.Length;
                    if (free > 0)
                    {
                        place.narrow(2, 0, free).zero_();
                    }

                    place.narrow(2, free, block.Length).copy_(
                        of(block.Cache)[layer].narrow(0, block.FirstRow, block.RowCount).narrow(2, block.Start, block.Length));
                    row += block.RowCount;
                }

                stacked[layer] = all.DetachFromDisposeScope();
                foreach (KVCache cache in consume ? blocks.Select(block => block.Cache) : [])
                {
                    of(cache)[layer].Dispose();
                }
            }

            return stacked;
        }
    }

    public void Dispose()
    {
        foreach (Tensor tensor in _keys.Concat(_values))
        {
            tensor.Dispose();
        }
    }
}

/// <summary>Some rows of a cache, and some of their tokens.</summary>
/// <param name="Cache">Whose.</param>
/// <param name="FirstRow">The first of the rows.</param>
/// <param name="RowCount">How many rows.</param>
/// <param name="Start">The column of the first token.</param>
/// <param name="Length">How many tokens.</param>
internal readonly record struct KVCacheBlock(KVCache Cache, int FirstRow, int RowCount, int Start, int Length);
