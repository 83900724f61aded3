using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>
/// Texts that are decoded together. Texts of unequal length are padded on the left, so that the next token of every row stands in the
/// same column; padding is masked and has no position, and a row's scores are those that it has alone.
/// </summary>
/// <param name="model">Not owned. Adapters with dropout must have been put into evaluation mode.</param>
/// <param name="room">See <see cref="ILanguageModel.Start"/>.</param>
/// <param name="prefixes">See <see cref="ILanguageModel.Start"/>; not owned.</param>
internal sealed class DecodingBatch(CausalLM model, int room, PrefixCache? prefixes = null) : IDecoding
{
    private readonly List<int> _lengths = [];       // the tokens of each row
    private KVCache? _cache;
    private Tensor? _mask;

    /// <summary>Keys and values of everything that was read.</summary>
    public KVCache Cache => _cache ?? throw new InvalidOperationException("No row has joined.");

    public Tensor Add(IReadOnlyList<int[]> prompts)
    {
        int longest = prompts.Max(prompt => prompt.Length);
        var ids = new long[prompts.Count, longest];
        for (int row = 0; row < prompts.Count; row++)
        {
            int padding = longest - prompts[row].Length;
            for (int column = padding; column < longest; column++)
            {
                ids[row, column] = prompts[row][column - padding];
            }
        }

        KVCache cache = Reading.Allocate(model, prompts.Count, longest + room);
        Tensor? mask = null;
        try
        {
            int[] lengths = [.. prompts.Select(prompt => prompt.Length)];
            mask = Mask(lengths, longest, cache.Capacity);
            using Tensor fed = tensor(ids, device: model.Device);
            Tensor scores = Reading.Feed(model, fed, mask, cache);
            Join(cache, lengths, mask);
            return scores;
        }
        catch
        {
            cache.Dispose();
            mask?.Dispose();
            throw;
        }
    }

    public IPromptReading Begin(int[] prompt)
    {
        // The last token is always read: its scores are asked for.
        (KVCache Cache, int Length)? kept = prefixes?.Find(prompt.AsSpan(0, prompt.Length - 1));
        return new Reading(model, prompt, kept is { } found
            ? KVCache.Stack([new KVCacheBlock(found.Cache, 0, 1, 0, found.Length)], prompt.Length + room, consume: false)
            : Reading.Allocate(model, 1, prompt.Length + room));
    }

    public void Join(IPromptReading prompt)
    {
        KVCache cache = ((Reading)prompt).Release();
        Join(cache, [cache.Length], mask: null);
    }

    public Tensor Next(long[] ids)
    {
        if (Cache.Length == Cache.Capacity)
        {
            Stack([new KVCacheBlock(Cache, 0, _lengths.Count, Cache.Length - _lengths.Max(), _lengths.Max())], [.. _lengths], room);
        }

        using Tensor fed = tensor(ids, device: model.Device);
        using Tensor column = fed.unsqueeze(1);
        Tensor scores = Reading.Feed(model, column, _mask, Cache);
        for (int row = 0; row < _lengths.Count; row++)
        {
            _lengths[row]++;
        }

        return scores;
    }

    public void Remove(IReadOnlyList<(int Row, int[]? Kept)> rows)
    {
        foreach ((int row, int[]? kept) in rows)
        {
            if (kept is not null)
            {
                int start = Cache.Length - _lengths[row];
                prefixes?.Store(kept, length =>
                    KVCache.Stack([new KVCacheBlock(Cache, row, 1, start, length)], length, consume: false));
            }
        }

        int[] staying = [.. Enumerable.Range(0, _lengths.Count).Except(rows.Select(row => row.Row))];
        if (staying.Length == 0)
        {
            Clear();
            return;
        }

        // Rows that stand next to each other are copied at once; columns that only rows that left had go with them.
        int longest = staying.Max(row => _lengths[row]);
        KVCacheBlock[] blocks = [.. staying.Select((row, place) => (Row: row, Run: row - place))
            .GroupBy(row => row.Run)
            .Select(run => new KVCacheBlock(Cache, run.First().Row, run.Count(), Cache.Length - longest, longest))];
        Stack(blocks, [.. staying.Select(row => _lengths[row])], Cache.Capacity - Cache.Length);
    }

    public void Dispose() => Clear();

    private void Clear()
    {
        _cache?.Dispose();
        _mask?.Dispose();
        (_cache, _mask) = (null, null);
        _lengths.Clear();
    }

    /// <summary>Rows that were read join. Where they are the first, nothing is copied.</summary>
    private void Join(KVCache cache, int[] lengths, Tensor? mask)
    {
        if (_cache is null)
        {
            (_cache, _mask) = (cache, mask);
            _lengths.AddRange(lengths);
            return;
        }

        mask?.Dispose();
        int own = _lengths.Max();
        Stack(
            [
                new KVCacheBlock(Cache, 0, _lengths.Count, Cache.Length - own, own),
                new KVCacheBlock(cache, 0, lengths.Length, 0, cache.Length),
            ],
            [.. _lengths, .. lengths],
            room);
    }

    private void Stack(IReadOnlyList<KVCacheBlock> blocks, int[] lengths, int free)
    {
        int longest = blocks.Max(block => block.Length);
        KVCache stacked = KVCache.Stack(blocks, longest + Math.Max(free, 1), consume: true);
        _mask?.Dispose();
        (_cache, _mask) = (stacked, null);
        _lengths.Clear();
        _lengths.AddRange(lengths);
        _mask = Mask(lengths, longest, stacked.Capacity);
    }

    /// <summary>Which columns are a row's own; null where all are. What is to come is its own.</summary>
    private Tensor? Mask(int[] lengths, int longest, int capacity)
    {
        if (lengths.All(length => length == longest) && model.Spec.Rope.Type != RopeType.Dynamic)
        {
            return null;
        }

        var visible = new bool[lengths.Length, capacity];
        for (int row = 0; row < lengths.Length; row++)
        {
            for (int column = longest - lengths[row]; column < capacity; column++)
            {
                visible[row, column] = true;
            }
        }

        return tensor(visible, device: model.Device).DetachFromDisposeScope();
    }

    /// <summary>A prompt with a cache of its own.</summary>
    private sealed class Reading(CausalLM model, int[] prompt, KVCache cache) : IPromptReading
    {
        private KVCache? _cache = cache;

        public int KeptTokens { get; } = cache.Length;

        public static KVCache Allocate(CausalLM model, int rows, int capacity) =>
            new(model.Spec, rows, capacity, model.Type, model.Device);

        /// <summary>The scores behind the last of some tokens [B, T], which are appended to a cache.</summary>
        public static Tensor Feed(CausalLM model, Tensor ids, Tensor? mask, KVCache cache)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            long tokens = ids.shape[1];
            Tensor hidden = model.Forward(model.Embed(ids), mask?.narrow(1, 0, cache.Length + tokens), cache);

            // Only the last column predicts something that is not known: a prompt's other scores are never computed.
            return scope.MoveToOuter(model.Logits(hidden.select(1, tokens - 1)).to(ScalarType.Float32).cpu());
        }

        public Tensor? Read(ref int tokens)
        {
            KVCache own = _cache!;
            int count = Math.Min(tokens, prompt.Length - own.Length);
            tokens -= count;
            long[] ids = [.. prompt.Skip(own.Length).Take(count).Select(id => (long)id)];
            using Tensor fed = tensor(ids, [1, count], device: model.Device);
            Tensor scores = Feed(model, fed, mask: null, own);
            if (own.Length == prompt.Length)
            {
                return scores;
            }

            scores.Dispose();
            return null;
        }

        public KVCache Release()
        {
            KVCache released = _cache!;
            _cache = null;
            return released;
        }

        public void Dispose() => _cache?.Dispose();
    }
}

/// <summary>A decoder of ours, which keeps the keys and values of what it read and decodes rows in batches.</summary>
/// <param name="model">Not owned. Adapters with dropout must have been put into evaluation mode.</param>
internal sealed class CachedModel(CausalLM model) : ILanguageModel
{
    public CausalLM Network => model;

    public int VocabularySize => model.Spec.VocabularySize;

    public int MaxPositions => model.Spec.MaxPositions;

    public IReadOnlyList<int> EndTokenIds => model.Config.EosTokenIds;

    /// <summary>Dynamic RoPE turns all rows by the longest one.</summary>
    public bool RowsAreIndependent => model.Spec.Rope.Type != RopeType.Dynamic;

    public IDecoding Start(int room, PrefixCache? prefixes = null) =>
        new DecodingBatch(model, room, RowsAreIndependent ? prefixes : null);
}
