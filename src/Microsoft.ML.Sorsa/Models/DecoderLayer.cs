using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>One decoder layer: h = x + attention(norm(x)), y = h + mlp(norm(h)).</summary>
internal sealed class DecoderLayer : nn.Module<Tensor, AttentionInputs, Tensor>
{
    private const string InputNormName = "input_layernorm";
    private const string AttentionName = "self_attn";
    private const string PostAttentionNormName = "post_attention_layernorm";
    private const string FeedForwardName = "mlp";

    [ComponentName(Name = InputNormName)]
    private readonly RmsNorm _inputNorm;

    [ComponentName(Name = AttentionName)]
    private readonly Attention _attention;

    [ComponentName(Name = PostAttentionNormName)]
    private readonly RmsNorm _postAttentionNorm;

    [ComponentName(Name = FeedForwardName)]
    private readonly FeedForward _feedForward;

    public DecoderLayer(DecoderSpec spec, int index, string path, WeightSource weights)
        : base(nameof(DecoderLayer))
    {
        _inputNorm = new RmsNorm(spec, $"{path}.{InputNormName}", weights);
        _attention = new Attention(spec, index, $"{path}.{AttentionName}", weights);
        _postAttentionNorm = new RmsNorm(spec, $"{path}.{PostAttentionNormName}", weights);
        _feedForward = new FeedForward(spec, $"{path}.{FeedForwardName}", weights);
    }

    public IEnumerable<ProjectionSlot> Projections => [.. _attention.Projections, .. _feedForward.Projections];

    public override Tensor forward(Tensor input, AttentionInputs attention)
    {
        using var scope = NewDisposeScope();
        Tensor h = input.Plus(_attention.call(_inputNorm.call(input), attention));
        return scope.MoveToOuter(h.Plus(_feedForward.call(_postAttentionNorm.call(h))));
    }
}
