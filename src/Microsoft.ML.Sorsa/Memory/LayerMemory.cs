using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>
/// What one decoder layer takes, in bytes, by the operations of <see cref="DecoderLayer"/>: H is the hidden size, Q and K the widths of
/// queries and of keys, I the feed-forward's; c the bytes of a number. On a processor norms and rotary turns are computed by rows, in one
/// pass; elsewhere by libtorch's operations, in a norm with numbers of at least 4 bytes.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="adapters">What stands in each projection of a layer, by its name; those that are not adapted are left out.</param>
/// <param name="trainsNorms">The norms' weights train.</param>
internal sealed class LayerMemory(ModelSizes model, IReadOnlyDictionary<string, AdapterMemory> adapters, bool trainsNorms)
{
    private static readonly string[] s_attention = ["q_proj", "k_proj", "v_proj", "o_proj"];
    private static readonly string[] s_feedForward = ["gate_proj", "up_proj", "down_proj"];

    private readonly DecoderSpec _spec = model.Spec;
    private readonly long _size = model.TypeSize;
    private readonly long _product = model.ProductSize;
    private readonly bool _byRows = TensorData.IsReadable(model.Type, model.OnCpu);

    private long Hidden => _spec.HiddenSize;

    private long Queries => (long)_spec.Attention.HeadCount * _spec.Attention.HeadDim;

    private long Keys => (long)_spec.Attention.KeyValueHeadCount * _spec.Attention.HeadDim;

    private long Intermediate => _spec.FeedForward.IntermediateSize;

    private long NormSize => _byRows ? _size : Math.Max(_size, sizeof(float));

    /// <summary>
    /// Attention is libtorch's, which wants keys and values repeated for the heads that share them, and keeps the softmax' sums.
    /// </summary>
    private bool IsLibtorchs(BatchSizes batch) => Weights(batch) == 0 && (!ComputesWeightsAgain || Mask(batch) > 0);

    /// <summary>Attention that computes its weights again in backward; layers with a window have libtorch's all the same.</summary>
    private bool ComputesWeightsAgain => CausalAttention.IsFor(model.MultipliedType, model.OnCpu, _spec.Attention.HeadDim);

    private bool IsWidened => _product > _size;

    private bool Repeats(BatchSizes batch) => Queries != Keys && IsLibtorchs(batch);

    /// <summary>What gradient checkpointing keeps: the inputs of attention and of the feed-forward part.</summary>
    public long Checkpoints(BatchSizes batch) => 2 * batch.Tokens * Hidden * _size;

    /// <summary>What forward keeps for backward, what does not depend on the number of tokens included.</summary>
    public long Kept(BatchSizes batch) => KeptByAttention(batch) + KeptByFeedForward(batch);

    /// <summary>What forward makes and does not keep, which lives until the layer's end.</summary>
    public long Forward(BatchSizes batch) => MadeByAttention(batch) + MadeByFeedForward(batch);

    /// <summary>What is there while one of the two blocks is computed again, the larger.</summary>
    public long Recomputed(BatchSizes batch) => Math.Max(
        KeptByAttention(batch) + MadeByAttention(batch), KeptByFeedForward(batch) + MadeByFeedForward(batch));

    /// <summary>What one of the two blocks keeps for its backward, the larger.</summary>
    public long KeptByBlock(BatchSizes batch) => Math.Max(KeptByAttention(batch), KeptByFeedForward(batch));

    /// <summary>
    /// What backward has at its largest moment, in the feed-forward part: the gradients of the gate's product and of its two sides, less
    /// what was kept for the step before; and that of the residual stream. Or in attention whose weights are kept: their gradient, whose
    /// place that of the scores takes, and those of what went in. Or in attention that computes its weights again: those of queries, keys
    /// and values, as many as there are heads of queries, that of the output, and keys and values packed.
    /// </summary>
    public long Backward(BatchSizes batch)
    {
        long feedForward = batch.Tokens * ((2 * Intermediate) + (2 * Hidden)) * _size;
        long attention = Weights(batch) > 0 ? Weights(batch) + (batch.Tokens * ((3 * Queries) + (2 * Keys) + Hidden) * _size)
            : ComputesWeightsAgain ? batch.Tokens * ((((4 * Queries) + (2 * Keys)) * _product) + (Hidden * _size))
            : 0;
        return Math.Max(feedForward, attention);
    }

    /// <summary>
    /// What one projection has while it is computed, the largest; where its type is not multiplied, what goes in and comes out,
    /// and a gradient, in another one, too.
    /// </summary>
    public long Working(BatchSizes batch) => adapters.Values.Select(adapter => adapter.Working).DefaultIfEmpty().Max()
        + (IsWidened ? batch.Tokens * (Hidden + (2 * Intermediate)) * _product : 0);

    /// <summary>What a norm keeps of every token: x, libtorch's in float32 at least.</summary>
    public long NormInput => Hidden * NormSize;

    /// <summary>x; with libtorch's one over its root mean square, and where the weight trains, what it is multiplied with.</summary>
    private long KeptByNorm => NormInput + (_byRows ? 0 : sizeof(float) + (trainsNorms ? Hidden * _size : 0));

    /// <summary>With libtorch's x², the scaled x and what is cast.</summary>
    private long MadeByNorm => _byRows ? 0 : (2 * Hidden * NormSize) + (_size < NormSize ? Hidden * _size : 0);

    /// <summary>
    /// The norm; the projections' common input; queries, keys and values as they meet; what comes out, where it is libtorch's or the last
    /// projection's input, and the softmax' sums; the mask.
    /// </summary>
    private long KeptByAttention(BatchSizes batch) => Weights(batch) + (Mask(batch) * _product) + Factors(s_attention)
        + (batch.Tokens * (KeptByNorm
        + (Trains("q_proj", "k_proj", "v_proj") ? Hidden * _size : 0)
        + ((Repeats(batch) ? 3 * Queries : Queries + (2 * Keys)) * _product)
        + (KeepsOutput(batch) ? Queries * _size : 0) + (IsWidened && IsLibtorchs(batch) ? Queries * _product : 0)
        + (IsLibtorchs(batch) ? _spec.Attention.HeadCount * sizeof(float) : 0)
        + PerToken(s_attention)));

    /// <summary>
    /// The norm; queries and keys before they are turned, libtorch's with their halves swapped and one of them negated; what is repeated;
    /// beside weights that are kept, values and result before they are copied; the output that is added to x, and the sum where the next
    /// norm does not keep it.
    /// </summary>
    private long MadeByAttention(BatchSizes batch) => (2 * Mask(batch) * sizeof(long)) + (batch.Tokens * (MadeByNorm
        + ((_byRows ? Queries + Keys : 5 * (Queries + Keys) / 2) * _size) + (Repeats(batch) ? 2 * Keys * _product : 0)
        + (Weights(batch) == 0 ? 0 : (Queries + Keys) * _size) + (IsWidened ? MadeByWidening(batch) : 0)
        + (KeepsOutput(batch) ? 0 : Queries * _size)
        + (Hidden * _size) + (_size < NormSize ? Hidden * _size : 0)
        + (Trains("q_proj", "k_proj", "v_proj") ? 0 : Hidden * _size)));

    /// <summary>
    /// The norm; the projections' common input; the gate before and behind its activation, the other side, the product of the two.
    /// </summary>
    private long KeptByFeedForward(BatchSizes batch) => Factors(s_feedForward) + (batch.Tokens * (KeptByNorm
        + (Trains("gate_proj", "up_proj") ? Hidden * _size : 0)
        + ((Trains("down_proj") ? 4 : 3) * Intermediate * _size)
        + PerToken(s_feedForward)));

    /// <summary>The norm, and the output that is added to x; inputs that no adapter keeps.</summary>
    private long MadeByFeedForward(BatchSizes batch) => batch.Tokens * (MadeByNorm + (Hidden * _size)
        + (Trains("gate_proj", "up_proj") ? 0 : Hidden * _size) + (Trains("down_proj") ? 0 : Intermediate * _size));

    /// <summary>Attention's weights, where libtorch's own is not used; they take the place of the scores.</summary>
    private long Weights(BatchSizes batch) =>
        batch.Rows * _spec.Attention.HeadCount * NarrowAttention.Weights(batch.Width, model.MultipliedType, model.OnCpu) * _size;

    private bool KeepsOutput(BatchSizes batch) => (IsLibtorchs(batch) && !IsWidened) || Trains("o_proj");

    /// <summary>Queries, keys and values before they are converted, and the result before it is converted back.</summary>
    private long MadeByWidening(BatchSizes batch) =>
        ((Queries + (2 * Keys)) * _size) + (IsLibtorchs(batch) ? 0 : Queries * _product);

    private long PerToken(string[] names) => Adapters(names).Sum(adapter => adapter.PerToken);

    private long Factors(string[] names) => Adapters(names).Sum(adapter => adapter.Factors);

    private IEnumerable<AdapterMemory> Adapters(string[] names) => names.Where(adapters.ContainsKey).Select(name => adapters[name]);

    private bool Trains(params string[] names) => Adapters(names).Any();

    /// <summary>T² where a window is narrower than the rows; else there is no mask.</summary>
    private long Mask(BatchSizes batch) =>
        _spec.LayerPattern.Any(layer => layer.SlidingWindow < batch.Width) ? batch.Width * batch.Width : 0;
}
