using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>
/// Prompts that are read together, in a cache of their own. Of each as many tokens are read as of the one that needs most, or all; what
/// stands before them was kept.
/// </summary>
internal sealed class PromptReading : IPromptReading
{
    private readonly CausalLM _model;
    private readonly Tensor _ids;       // [prompts, tokens to read], padded on the left
    private Tensor? _mask;
    private KVCache? _cache;
    private int _read;

    /// <param name="model">Not owned.</param>
    /// <param name="prompts">At least one of at least one token.</param>
    /// <param name="kept">For each prompt a cache that begins with its first tokens, and how many; null: none does.</param>
    /// <param name="room">For how many tokens behind the longest there is memory.</param>
    public PromptReading(CausalLM model, IReadOnlyList<int[]> prompts, IReadOnlyList<(KVCache Cache, int Length)?> kept, int room)
    {
        _model = model;
        Lengths = [.. prompts.Select(prompt => prompt.Length)];
        int longest = Lengths.Max(), tokens = prompts.Zip(kept, Remaining).Max(), capacity = longest + room;
        KeptTokens = [.. Lengths.Select(length => Math.Max(length - tokens, 0))];
        var ids = new long[prompts.Count, tokens];
        for (int row = 0; row < prompts.Count; row++)
        {
            for (int column = Math.Max(tokens - Lengths[row], 0); column < tokens; column++)
            {
                ids[row, column] = prompts[row][Lengths[row] - tokens + column];
            }
        }

        _ids = tensor(ids, device: model.Device).DetachFromDisposeScope();
        _mask = Mask(model, Lengths, longest, capacity);
        KVCache? any = kept.FirstOrDefault(found => found is not null)?.Cache;
        _cache = any is null || longest == tokens
            ? new KVCache(model.Spec, prompts.Count, capacity, model.Type, model.Device)
            : KVCache.Stack(
                [.. kept.Zip(KeptTokens, (found, length) => new KVCacheBlock(found?.Cache ?? any, 0, 1, 0, length))], capacity,
                consume: false);
    }

    public IReadOnlyList<int> KeptTokens { get; }

    /// <summary>Tokens of each prompt.</summary>
    public IReadOnlyList<int> Lengths { get; }

    /// <summary>How many tokens of a prompt were not kept.</summary>
    public static int Remaining(int[] prompt, (KVCache Cache, int Length)? kept) => prompt.Length - (kept?.Length ?? 0);

    /// <summary>The scores behind the last of some tokens [B, T], which are appended to a cache; on the model's device.</summary>
    public static Tensor Feed(CausalLM model, Tensor ids, Tensor? mask, KVCache cache)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        long tokens = ids.shape[1];
        Tensor hidden = model.Forward(model.Embed(ids), mask?.narrow(1, 0, cache.Length + tokens), cache);

        // Only the last column predicts something that is not known: a prompt's other scores are never computed.
        return scope.MoveToOuter(model.Logits(hidden.select(1, tokens - 1)).to(ScalarType.Float32));
    }

    /// <summary>Which columns are a row's own; null where all are. What is to come is its own.</summary>
    public static Tensor? Mask(CausalLM model, IReadOnlyList<int> lengths, int longest, int capacity)
    {
        if (lengths.All(length => length == longest) && model.Spec.Rope.Type != RopeType.Dynamic)
        {
            return null;
        }

        var visible = new bool[lengths.Count, capacity];
        for (int row = 0; row < lengths.Count; row++)
        {
            for (int column = longest - lengths[row]; column < capacity; column++)
            {
                visible[row, column] = true;
            }
        }

        return tensor(visible, device: model.Device).DetachFromDisposeScope();
    }

    public Tensor? Read(int tokens)
    {
        int columns = (int)Math.Clamp(tokens / _ids.shape[0], 1, _ids.shape[1] - _read);
        using Tensor ids = _ids.narrow(1, _read, columns);
        Tensor scores = Feed(_model, ids, _mask, _cache!);
        _read += columns;
        if (_read == _ids.shape[1])
        {
            return scores;
        }

        scores.Dispose();
        return null;
    }

    /// <summary>Hands over what was read.</summary>
    public (KVCache Cache, Tensor? Mask) Release()
    {
        (KVCache Cache, Tensor? Mask) released = (_cache!, _mask);
        (_cache, _mask) = (null, null);
        return released;
    }

    public void Dispose()
    {
        _ids.Dispose();
        _cache?.Dispose();
        _mask?.Dispose();
    }
}
