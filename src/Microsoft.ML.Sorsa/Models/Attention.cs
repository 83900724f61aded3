using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>What attention needs beside its input, the same for every layer of a call.</summary>
/// <param name="Angles">cos and sin [B or 1, T, 1, d] of the tokens' positions: see <see cref="RotaryEmbedding"/>.</param>
/// <param name="Mask">Which keys S a query T may see, bool [B or 1, 1, T, S]; null: causal, or everything where there is one query.</param>
/// <param name="Cache">The past, to which this call's tokens are appended; null: there is none.</param>
internal sealed record AttentionInputs((Tensor Cos, Tensor Sin) Angles, Tensor? Mask, KVCache? Cache);

/// <summary>
/// Self-attention with grouped queries (Ainslie et al., arXiv 2305.13245): every head of keys and values serves
/// HeadCount / KeyValueHeadCount heads of queries.
/// </summary>
internal sealed class Attention : nn.Module
{
    private readonly int _layer;
    private readonly int _keyValueHeads;
    private readonly int _group;
    private readonly int _headDim;
    private readonly ProjectionSlot _query;
    private readonly ProjectionSlot _key;
    private readonly ProjectionSlot _value;
    private readonly ProjectionSlot _output;

    public Attention(DecoderSpec spec, int layer, string path, WeightSource weights)
        : base(nameof(Attention))
    {
        AttentionSpec attention = spec.Attention;
        _layer = layer;
        _keyValueHeads = attention.KeyValueHeadCount;
        _group = attention.HeadCount / attention.KeyValueHeadCount;
        _headDim = attention.HeadDim;
        long queries = (long)attention.HeadCount * _headDim, keys = (long)_keyValueHeads * _headDim;
        _query = new ProjectionSlot(this, path, "q_proj", weights, (queries, spec.HiddenSize), attention.InputBias);
        _key = new ProjectionSlot(this, path, "k_proj", weights, (keys, spec.HiddenSize), attention.InputBias);
        _value = new ProjectionSlot(this, path, "v_proj", weights, (keys, spec.HiddenSize), attention.InputBias);
        _output = new ProjectionSlot(this, path, "o_proj", weights, (spec.HiddenSize, queries), attention.OutputBias);
    }

    public IEnumerable<ProjectionSlot> Projections => [_query, _key, _value, _output];

    /// <summary>What the layer adds to the residual stream [B, T, hidden].</summary>
    /// <param name="input">The normed input [B, T, hidden].</param>
    /// <param name="inputs">What else it needs.</param>
    /// <param name="isRead">See <see cref="ICheckpointedBlock"/>.</param>
    public Tensor Forward(Tensor input, AttentionInputs inputs, bool isRead = true)
    {
        long batch = input.size(0), tokens = input.size(1);
        Tensor query = RotaryEmbedding.Rotate(Heads(_query.Apply(input)), inputs.Angles);
        Tensor key = RotaryEmbedding.Rotate(Heads(_key.Apply(input)), inputs.Angles);
        Tensor value = Heads(_value.Apply(input)).transpose(1, 2);
        if (inputs.Cache is not null)
        {
            (key, value) = inputs.Cache.Append(_layer, key, value);
        }

        Tensor attended = Attend(query, key, value, inputs.Mask);
        return _output.Apply(attended.transpose(1, 2).reshape(batch, tokens, -1), isRead);

        Tensor Heads(Tensor x) => x.view(batch, tokens, -1, _headDim);
    }

    /// <summary>[B, heads, T, d], in a type that the processor multiplies.</summary>
    private Tensor Attend(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        bool isOne = query.size(2) == 1;
        if (isOne && FewRowsAttention.Fits(query, key, value, mask))
        {
            return FewRowsAttention.Compute(query, key, value, mask);
        }

        ScalarType type = ProductType.Of(query);
        if (type != query.dtype)
        {
            using var scope = NewDisposeScope();
            return scope.MoveToOuter(Attend(query.to(type), key.to(type), value.to(type), mask).to(query.dtype));
        }

        return isOne ? OneQuery(query, key, value, mask) : ManyQueries(query, key, value, mask);
    }

    /// <summary>
    /// Many queries; without a mask none of them sees what lies behind it. libtorch's own wants as many heads of keys as of queries.
    /// </summary>
    private Tensor ManyQueries(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        return CausalAttention.Fits(query, key, value, mask) ? CausalAttention.Apply(query, key, value)
            : NarrowAttention.Fits(query, key, value, mask) ? NarrowAttention.Apply(query, key, value, mask)
            : nn.functional.scaled_dot_product_attention(query, Repeat(key), Repeat(value), mask, is_casual: mask is null);

        Tensor Repeat(Tensor x) => _group == 1
            ? x
            : x.unsqueeze(2).expand(x.shape[0], _keyValueHeads, _group, x.shape[2], _headDim).reshape(x.shape[0], -1, x.shape[2], _headDim);
    }

    /// <summary>
    /// One query per row, when decoding: the queries of a group stand as queries of their one head, so that nothing of the past is copied.
    /// </summary>
    private Tensor OneQuery(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        Tensor stacked = query.view(query.shape[0], _keyValueHeads, _group, _headDim);
        return nn.functional.scaled_dot_product_attention(stacked, key, value, mask).reshape(query.shape[0], -1, 1, _headDim);
    }
}
