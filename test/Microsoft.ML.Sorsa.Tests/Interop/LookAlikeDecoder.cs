using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>
/// Makes itself a cache in a private field, and from then on a call reads on where the one before ended, unless the cache is taken away.
/// </summary>
internal abstract class CacheHolder(string name) : nn.Module<CausalLookAlikeInput, Tensor>(name)
{
    private IKVCache? _cache = new GrowingCache();

    public GrowingCache? Cache => (GrowingCache?)_cache;

    /// <summary>As GenAI's generation does through its input.</summary>
    public void UseCache(IKVCache? cache) => _cache = cache;
}

/// <summary>The decoder below a head, after the shape of GenAI's.</summary>
/// <param name="spec">The sizes; of the rotary embedding the base alone is used, as there.</param>
/// <param name="keepsCache">As Mistral's: the cache stays whatever useCache says, and there is a window. Llama's goes.</param>
internal sealed class LookAlikeDecoder(DecoderSpec spec, bool keepsCache) : CacheHolder(nameof(LookAlikeDecoder))
{
    [ComponentName(Name = "embed_tokens")]
    private readonly Embedding _embedding = nn.Embedding(spec.VocabularySize, spec.HiddenSize);

    [ComponentName(Name = "layers")]
    private readonly ModuleList<LookAlikeLayer> _layers = new(
        [.. Enumerable.Range(0, spec.LayerCount).Select(index => new LookAlikeLayer(spec, index))]);

    [ComponentName(Name = "norm")]
    private readonly LookAlikeNorm _norm = new(spec);

    public Embedding Embedding => _embedding;

    public override Tensor forward(CausalLookAlikeInput input)
    {
        Assert.IsFalse(input.HasMore);
        if (!input.UseCache && !keepsCache)
        {
            UseCache(null);
        }

        long tokens = input.InputIds.shape[1], past = Cache?.Length ?? 0;
        Tensor mask = full(tokens, past + tokens, float.NegativeInfinity).triu(past + 1);
        if (keepsCache && spec.Layer(0).SlidingWindow is { } window)
        {
            mask += full(tokens, past + tokens, float.NegativeInfinity).tril(past - window - 1);
        }

        Tensor half = pow(spec.Rope.Theta, arange(0, spec.Attention.HeadDim, 2, ScalarType.Float64) / -spec.Attention.HeadDim);
        Tensor angles = outer(arange(tokens, ScalarType.Float64), cat([half, half]));
        Tensor hidden = _embedding.forward(input.InputIds);
        (Tensor cos, Tensor sin) = (angles.cos().to(hidden.dtype, hidden.device), angles.sin().to(hidden.dtype, hidden.device));
        mask = mask.to(hidden.dtype, hidden.device);
        foreach (LookAlikeLayer layer in _layers)
        {
            hidden = layer.forward(new LookAlikeLayerInput(hidden, cos, sin, mask, Cache));
        }

        return _norm.forward(hidden);
    }
}
