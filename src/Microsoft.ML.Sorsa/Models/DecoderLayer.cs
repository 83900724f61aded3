using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Modules;
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

    public DecoderLayer(DecoderConfig config, int index, Func<string, Parameter> weight)
        : base(nameof(DecoderLayer))
    {
        string path = FormattableString.Invariant($"model.layers.{index}");
        _inputNorm = new RmsNorm(weight($"{path}.input_layernorm.weight"), config.RmsNormEpsilon);
        _attention = new Attention(config, index, $"{path}.self_attn", weight);
        _postAttentionNorm = new RmsNorm(weight($"{path}.post_attention_layernorm.weight"), config.RmsNormEpsilon);
        _feedForward = new FeedForward(config, $"{path}.mlp", weight);
    }

    public IEnumerable<ProjectionSlot> Projections => [.. _attention.Projections, .. _feedForward.Projections];

    public override Tensor forward(Tensor input, AttentionInputs attention)
    {
        using var scope = NewDisposeScope();
        Tensor h = input.Plus(_attention.call(_inputNorm.call(input), attention));
        return scope.MoveToOuter(h.Plus(_feedForward.call(_postAttentionNorm.call(h))));
    }
}
