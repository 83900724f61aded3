using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>
/// What one decoder layer takes, in bytes, by the operations of <see cref="DecoderLayer"/>: H is the hidden size, Q and K the widths of
/// queries and of keys, I the feed-forward's; c the bytes of a number, and at least 4 in a norm.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="adapters">What stands in each projection of a layer, by its name; those that are not adapted are left out.</param>
/// <param name="trainsNorms">The norms' weights train.</param>
internal sealed class LayerMemory(ModelSizes model, IReadOnlyDictionary<string, AdapterMemory> adapters, bool trainsNorms)
{
    private readonly DecoderSpec _spec = model.Spec;
    private readonly long _size = model.TypeSize;
    private readonly long _normSize = Math.Max(model.TypeSize, sizeof(float));

    private long Hidden => _spec.HiddenSize;

    private long Queries => (long)_spec.Attention.HeadCount * _spec.Attention.HeadDim;

    private long Keys => (long)_spec.Attention.KeyValueHeadCount * _spec.Attention.HeadDim;

    private long Intermediate => _spec.FeedForward.IntermediateSize;

    /// <summary>The keys and values are repeated for the heads that share them.</summary>
    private bool Repeats => Queries != Keys;

    /// <summary>The layer's input, which is all that gradient checkpointing keeps of it.</summary>
    public long Input(BatchSizes batch) => batch.Tokens * Hidden * _size;

    /// <summary>What forward keeps for backward: activations that do not depend on the tokens' number included.</summary>
    public long Kept(BatchSizes batch) =>
        (batch.Tokens * ((2 * KeptByNorm) + KeptByAttention + KeptByFeedForward + adapters.Values.Sum(adapter => adapter.PerToken)))
        + adapters.Values.Sum(adapter => adapter.Factors) + KeptMask(batch);

    /// <summary>
    /// What forward makes and does not keep, which lives until the layer's end: in the norms x², the scaled x and what is cast; in the
    /// attention each projection before it is turned, its halves swapped and one of them negated; the two outputs that are added to x.
    /// </summary>
    public long Forward(BatchSizes batch)
    {
        long norm = (2 * Hidden * _normSize) + (_size < _normSize ? Hidden * _size : 0);
        long turned = 5 * (Queries + Keys) * _size / 2;
        long repeated = Repeats ? 2 * Keys * _size : 0;
        long outputs = (2 * Hidden * _size) + (_size < _normSize ? Hidden * _size : 0);
        return (batch.Tokens * ((2 * norm) + turned + repeated + outputs + Unkept)) + (2 * Mask(batch) * sizeof(long));
    }

    /// <summary>
    /// What backward has at its largest moment, in the feed-forward part: the gradients of the gate's product and of its two sides, less
    /// what was kept for the step before; and that of the residual stream.
    /// </summary>
    public long Backward(BatchSizes batch) => batch.Tokens * ((2 * Intermediate) + (2 * Hidden)) * _size;

    /// <summary>What one projection has while it is computed, the largest.</summary>
    public long Working => adapters.Values.Select(adapter => adapter.Working).DefaultIfEmpty().Max();

    /// <summary>x, in float32 at least, and one over its root mean square; what goes on to the projections.</summary>
    private long KeptByNorm => (Hidden * _normSize) + sizeof(float) + (trainsNorms ? Hidden * _size : 0);

    /// <summary>The projections' common input; queries, keys and values as they meet; what comes out, and the softmax' sums.</summary>
    private long KeptByAttention =>
        (Trains("q_proj", "k_proj", "v_proj") ? Hidden * _size : 0)
        + ((Repeats ? 3 * Queries : Queries + (2 * Keys)) * _size)
        + (Queries * _size) + (_spec.Attention.HeadCount * sizeof(float));

    /// <summary>The projections' common input; the gate before and behind its activation, the other side, the product of the two.</summary>
    private long KeptByFeedForward =>
        (Trains("gate_proj", "up_proj") ? Hidden * _size : 0) + ((Trains("down_proj") ? 4 : 3) * Intermediate * _size);

    /// <summary>Inputs of projections that no adapter keeps, which live as long as the rest of forward.</summary>
    private long Unkept =>
        ((Trains("q_proj", "k_proj", "v_proj") ? 0 : Hidden) + (Trains("gate_proj", "up_proj") ? 0 : Hidden)
            + (Trains("down_proj") ? 0 : Intermediate)) * _size;

    /// <summary>A sliding window's mask, as numbers.</summary>
    private long KeptMask(BatchSizes batch) => Mask(batch) * _size;

    /// <summary>T² where a window is narrower than the rows; else there is no mask.</summary>
    private long Mask(BatchSizes batch) =>
        _spec.LayerPattern.Any(layer => layer.SlidingWindow < batch.Width) ? batch.Width * batch.Width : 0;

    private bool Trains(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (adapters.ContainsKey(name))
            {
                return true;
            }
        }

        return false;
    }
}
