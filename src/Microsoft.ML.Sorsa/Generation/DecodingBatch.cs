using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Generation;

/// <summary>
/// Texts that are decoded together. Prompts of unequal length are padded on the left, so that the next token of every row stands in
/// the same column; padding is masked and has no position, and a row's scores are those that it has alone.
/// </summary>
internal sealed class DecodingBatch : IDecoding
{
    private readonly CausalLM _model;
    private readonly Tensor _prompts;
    private readonly Tensor? _mask;

    /// <param name="model">Not owned. Adapters with dropout must have been put into evaluation mode.</param>
    /// <param name="prompts">Token ids, at least one row of at least one each.</param>
    /// <param name="maxNewTokens">How many scores are asked for at most; room for keys and values is taken for them here.</param>
    public DecodingBatch(CausalLM model, IReadOnlyList<int[]> prompts, int maxNewTokens)
    {
        _model = model;
        int rows = prompts.Count, longest = prompts.Max(prompt => prompt.Length);

        // The last new token is never fed back.
        int capacity = longest + maxNewTokens - 1;
        var ids = new long[rows, longest];
        var visible = new bool[rows, capacity];
        for (int row = 0; row < rows; row++)
        {
            int padding = longest - prompts[row].Length;
            for (int column = padding; column < capacity; column++)
            {
                visible[row, column] = true;
                if (column < longest)
                {
                    ids[row, column] = prompts[row][column - padding];
                }
            }
        }

        _prompts = tensor(ids, device: model.Device).DetachFromDisposeScope();

        // Dynamic RoPE turns all rows by the largest position in the batch: a finished row must not count on, and the mask stops it.
        bool needed = model.Spec.Rope.Type == RopeType.Dynamic || prompts.Any(prompt => prompt.Length != longest);
        _mask = !needed ? null : tensor(visible, device: model.Device).DetachFromDisposeScope();
        Cache = new KVCache(model.Spec, rows, capacity, model.Type, model.Device);
    }

    /// <summary>Keys and values of everything that was fed.</summary>
    public KVCache Cache { get; }

    public Tensor Prefill() => Feed(_prompts);

    public Tensor Next(long[] ids, bool[] finished)
    {
        if (_mask is not null && finished.Contains(true))
        {
            using var scope = NewDisposeScope();
            _mask.select(1, Cache.Length).copy_(tensor(finished, device: _model.Device).logical_not());
        }

        using Tensor fed = tensor(ids, device: _model.Device);
        using Tensor column = fed.unsqueeze(1);
        return Feed(column);
    }

    public void Dispose()
    {
        Cache.Dispose();
        _mask?.Dispose();
        _prompts.Dispose();
    }

    private Tensor Feed(Tensor ids)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        long tokens = ids.shape[1];
        Tensor hidden = _model.Forward(_model.Embed(ids), _mask?.narrow(1, 0, Cache.Length + tokens), Cache);

        // Only the last column predicts something that is not known: a prompt's other scores are never computed.
        return scope.MoveToOuter(_model.Logits(hidden.select(1, tokens - 1)).to(ScalarType.Float32).cpu());
    }
}

/// <summary>A decoder of ours, which keeps the keys and values of what it read and decodes rows in batches.</summary>
/// <param name="model">Not owned. Adapters with dropout must have been put into evaluation mode.</param>
internal sealed class CachedModel(CausalLM model) : ILanguageModel
{
    public int VocabularySize => model.Spec.VocabularySize;

    public int MaxPositions => model.Spec.MaxPositions;

    public IReadOnlyList<int> EndTokenIds => model.Config.EosTokenIds;

    public IDecoding Start(IReadOnlyList<int[]> prompts, int maxNewTokens) => new DecodingBatch(model, prompts, maxNewTokens);
}
