using Microsoft.ML.Sorsa.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>One decoder layer: h = x + attention(norm(x)), y = h + mlp(norm(h)).</summary>
internal sealed class DecoderLayer : nn.Module
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

    /// <summary>y [B, T, hidden].</summary>
    /// <param name="input">x [B, T, hidden].</param>
    /// <param name="attention">What attention needs beside it.</param>
    /// <param name="checkpoint">
    /// With gradient checkpointing a tensor that has a gradient: of the layer only x and h are kept. Null: without.
    /// </param>
    public Tensor Forward(Tensor input, AttentionInputs attention, Tensor? checkpoint)
    {
        using var scope = NewDisposeScope();
        Tensor h = Run(new AttentionBlock(_inputNorm, _attention), input);
        return scope.MoveToOuter(Run(new FeedForwardBlock(_postAttentionNorm, _feedForward), h));

        Tensor Run(ICheckpointedBlock block, Tensor x) => checkpoint is null
            ? block.Compute(x, attention, isRead: true)
            : GradientCheckpoint.Apply(block, x, attention, checkpoint);
    }

    private sealed record AttentionBlock(RmsNorm Norm, Attention Attention) : ICheckpointedBlock
    {
        public Tensor Compute(Tensor input, AttentionInputs inputs, bool isRead) =>
            input.Plus(Attention.Forward(Norm.call(input), inputs, isRead));
    }

    private sealed record FeedForwardBlock(RmsNorm Norm, FeedForward FeedForward) : ICheckpointedBlock
    {
        public Tensor Compute(Tensor input, AttentionInputs inputs, bool isRead) =>
            input.Plus(FeedForward.Forward(Norm.call(input), isRead));
    }
}
