using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>What a layer of the look-alikes takes.</summary>
internal sealed record LookAlikeLayerInput(Tensor Hidden, Tensor Cos, Tensor Sin, Tensor Mask, IKVCache? Cache);

/// <summary>A Llama layer in which every part calls the forward of the next, as GenAI's do.</summary>
internal sealed class LookAlikeLayer(DecoderSpec spec, int index) : nn.Module<LookAlikeLayerInput, Tensor>(nameof(LookAlikeLayer))
{
    [ComponentName(Name = "input_layernorm")]
    private readonly LookAlikeNorm _before = new(spec);

    [ComponentName(Name = "self_attn")]
    private readonly LookAlikeAttention _attention = new(spec, index);

    [ComponentName(Name = "post_attention_layernorm")]
    private readonly LookAlikeNorm _between = new(spec);

    [ComponentName(Name = "mlp")]
    private readonly LookAlikeFeedForward _feedForward = new(spec);

    public override Tensor forward(LookAlikeLayerInput input)
    {
        Tensor hidden = input.Hidden + _attention.forward(input with { Hidden = _before.forward(input.Hidden) });
        return hidden + _feedForward.forward(_between.forward(hidden));
    }
}

internal sealed class LookAlikeNorm(DecoderSpec spec) : nn.Module<Tensor, Tensor>(nameof(LookAlikeNorm))
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight = new(ones(spec.HiddenSize));

    public override Tensor forward(Tensor input) =>
        Normalised(input.to(ScalarType.Float32)).to(input.dtype) * _weight;

    private Tensor Normalised(Tensor x) => x * (x.square().mean([-1], keepdim: true) + spec.Norm.Epsilon).rsqrt();
}

internal sealed class LookAlikeFeedForward(DecoderSpec spec) : nn.Module<Tensor, Tensor>(nameof(LookAlikeFeedForward))
{
    [ComponentName(Name = "gate_proj")]
    private readonly BufferLinear _gate = new(spec.HiddenSize, spec.FeedForward.IntermediateSize);

    [ComponentName(Name = "up_proj")]
    private readonly BufferLinear _up = new(spec.HiddenSize, spec.FeedForward.IntermediateSize);

    [ComponentName(Name = "down_proj")]
    private readonly BufferLinear _down = new(spec.FeedForward.IntermediateSize, spec.HiddenSize);

    public override Tensor forward(Tensor input) => _down.forward(nn.functional.silu(_gate.forward(input)) * _up.forward(input));

    public void Quantise(string name) => _up.Quantise(name);
}

internal sealed class LookAlikeAttention(DecoderSpec spec, int layer)
    : nn.Module<LookAlikeLayerInput, Tensor>(nameof(LookAlikeAttention))
{
    [ComponentName(Name = "q_proj")]
    private readonly BufferLinear _query = new(spec.HiddenSize, spec.Attention.HeadCount * spec.Attention.HeadDim);

    [ComponentName(Name = "k_proj")]
    private readonly BufferLinear _key = new(spec.HiddenSize, spec.Attention.KeyValueHeadCount * spec.Attention.HeadDim);

    [ComponentName(Name = "v_proj")]
    private readonly BufferLinear _value = new(spec.HiddenSize, spec.Attention.KeyValueHeadCount * spec.Attention.HeadDim);

    [ComponentName(Name = "o_proj")]
    private readonly BufferLinear _output = new(spec.Attention.HeadCount * spec.Attention.HeadDim, spec.HiddenSize);

    public override Tensor forward(LookAlikeLayerInput input)
    {
        Tensor queries = Turn(Heads(_query.forward(input.Hidden)), input);
        Tensor keys = Turn(Heads(_key.forward(input.Hidden)), input), values = Heads(_value.forward(input.Hidden));
        if (input.Cache is { } cache)
        {
            (keys, values) = cache.Update(keys, values, layer);
        }

        int shared = spec.Attention.HeadCount / spec.Attention.KeyValueHeadCount;
        Tensor scores = (queries.matmul(keys.repeat_interleave(shared, 1).transpose(2, 3)) / Math.Sqrt(spec.Attention.HeadDim))
            + input.Mask;
        Tensor mixed = nn.functional.softmax(scores, -1, ScalarType.Float32).to(values.dtype).matmul(values.repeat_interleave(shared, 1));
        return _output.forward(mixed.transpose(1, 2).flatten(2));
    }

    private Tensor Heads(Tensor x) => x.view(x.shape[0], x.shape[1], -1, spec.Attention.HeadDim).transpose(1, 2);

    private static Tensor Turn(Tensor x, LookAlikeLayerInput input)
    {
        Tensor[] halves = x.chunk(2, -1);
        return (x * input.Cos) + (cat([-halves[1], halves[0]], -1) * input.Sin);
    }
}
