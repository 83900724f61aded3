using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>One decoder layer: h = x + attention(norm(x)), y = h + mlp(norm(h)).</summary>
internal sealed class DecoderLayer : nn.Module<Tensor, AttentionInputs, Tensor>
{
    [ComponentName(Name = "input_layernorm")]
    private readonly RmsNorm _inputNorm;

    [ComponentName(Name = "self_attn")]
    private readonly Attention _attention;

    [ComponentName(Name = "post_attention_layernorm")]
    private readonly RmsNorm _postAttentionNorm;

    [ComponentName(Name = "mlp")]
    private readonly FeedForward _feedForward;

    public DecoderLayer(DecoderSpec spec, int index, WeightSource weights)
        : base(nameof(DecoderLayer))
    {
        string path = FormattableString.Invariant($"model.layers.{index}");
        _inputNorm = new RmsNorm(spec, $"{path}.input_layernorm", weights);
        _attention = new Attention(spec, index, $"{path}.self_attn", weights);
        _postAttentionNorm = new RmsNorm(spec, $"{path}.post_attention_layernorm", weights);
        _feedForward = new FeedForward(spec, $"{path}.mlp", weights);
    }

    public IEnumerable<ProjectionSlot> Projections => [.. _attention.Projections, .. _feedForward.Projections];

    public override Tensor forward(Tensor input, AttentionInputs attention)
    {
        using var scope = NewDisposeScope();
        Tensor h = input.Plus(_attention.call(_inputNorm.call(input), attention));
        return scope.MoveToOuter(h.Plus(_feedForward.call(_postAttentionNorm.call(h))));
    }
}
