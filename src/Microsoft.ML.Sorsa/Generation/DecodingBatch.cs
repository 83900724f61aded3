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

    public IPromptReading Begin(IReadOnlyList<int[]> prompts, int? tokens = null)
    {
        // The last token is always read: its scores are asked for.
        (KVCache Cache, int Length)?[] kept = [.. prompts.Select(prompt => prefixes?.Find(prompt.AsSpan(0, prompt.Length - 1)))];
        int taken = prompts.Count;
        if (tokens is { } most)
        {
            // All that are read together are padded to the longest: at most half of it may be padding.
            int longest = 0, needed = 0;
            for (taken = 0; taken < prompts.Count; taken++)
            {
                int remaining = PromptReading.Remaining(prompts[taken], kept[taken]), padded = Math.Max(longest, remaining);
                if (taken > 0 && (taken + 1) * padded > Math.Min(most, 2 * (needed + remaining)))
                {
                    break;
                }

                (longest, needed) = (padded, needed + remaining);
            }
        }

        return new PromptReading(model, [.. prompts.Take(taken)], [.. kept.Take(taken)], room);
    }

    public void Join(IPromptReading prompts)
    {
        using var reading = (PromptReading)prompts;
        (KVCache cache, Tensor? mask) = reading.Release();
        if (_cache is null)
        {
            (_cache, _mask) = (cache, mask);
            _lengths.AddRange(reading.Lengths);
            return;
        }

        mask?.Dispose();
        int own = _lengths.Max();
        Stack(
            [
                new KVCacheBlock(Cache, 0, _lengths.Count, Cache.Length - own, own),
                new KVCacheBlock(cache, 0, reading.Lengths.Count, 0, cache.Length),
            ],
            [.. _lengths, .. reading.Lengths],
            room);
    }

    public Tensor Next(long[] ids)
    {
        if (Cache.Length == Cache.Capacity)
        {
            int longest = _lengths.Max();
            Stack([new KVCacheBlock(Cache, 0, _lengths.Count, Cache.Length - longest, longest)], [.. _lengths], room);
        }

        using Tensor fed = tensor(ids, device: model.Device);
        using Tensor column = fed.unsqueeze(1);
        Tensor scores = PromptReading.Feed(model, column, _mask, Cache);
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
            Dispose();
            return;
        }

        // Rows that stand next to each other are copied at once; columns that only rows that left had go with them.
        int longest = staying.Max(row => _lengths[row]);
        KVCacheBlock[] blocks = [.. staying.Select((row, place) => (Row: row, Run: row - place))
            .GroupBy(row => row.Run)
            .Select(run => new KVCacheBlock(Cache, run.First().Row, run.Count(), Cache.Length - longest, longest))];
        Stack(blocks, [.. staying.Select(row => _lengths[row])], Cache.Capacity - Cache.Length);
    }

    /// <summary>Nothing is read any more; another row may be the first.</summary>
    public void Dispose()
    {
        _cache?.Dispose();
        _mask?.Dispose();
        (_cache, _mask) = (null, null);
        _lengths.Clear();
    }

    private void Stack(IReadOnlyList<KVCacheBlock> blocks, int[] lengths, int free)
    {
        int longest = blocks.Max(block => block.Length);
        KVCache stacked = KVCache.Stack(blocks, longest + Math.Max(free, 1), consume: true);
        _mask?.Dispose();
        (_cache, _mask) = (stacked, null);
        _lengths.Clear();
        _lengths.AddRange(lengths);
        _mask = PromptReading.Mask(model, lengths, longest, stacked.Capacity);
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
