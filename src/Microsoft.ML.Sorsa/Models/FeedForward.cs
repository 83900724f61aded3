using System.Diagnostics;
using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>The gated feed-forward part: down(act(gate(x)) ⊙ up(x)) (Shazeer, arXiv 2002.05202).</summary>
internal sealed class FeedForward : nn.Module
{
    private readonly Activation _activation;
    private readonly ProjectionSlot _gate;
    private readonly ProjectionSlot _up;
    private readonly ProjectionSlot _down;

    public FeedForward(DecoderSpec spec, string path, WeightSource weights)
        : base(nameof(FeedForward))
    {
        (int intermediate, _activation, bool bias) = spec.FeedForward;
        _gate = new ProjectionSlot(this, path, "gate_proj", weights, (intermediate, spec.HiddenSize), bias);
        _up = new ProjectionSlot(this, path, "up_proj", weights, (intermediate, spec.HiddenSize), bias);
        _down = new ProjectionSlot(this, path, "down_proj", weights, (spec.HiddenSize, intermediate), bias);
    }

    public IEnumerable<ProjectionSlot> Projections => [_gate, _up, _down];

    /// <summary>What the layer adds to the residual stream [B, T, hidden].</summary>
    /// <param name="input">The normed input [B, T, hidden].</param>
    /// <param name="isRead">See <see cref="ICheckpointedBlock"/>.</param>
    public Tensor Forward(Tensor input, bool isRead = true) => _down.Apply(Gated(_gate.Apply(input), _up.Apply(input)), isRead);

    private Tensor Gated(Tensor gate, Tensor x) => _activation switch
    {
        Activation.Silu when FewRowsGate.Fits(gate, x) => FewRowsGate.Compute(gate, x),
        Activation.Silu => nn.functional.silu(gate) * x,
        _ => throw new UnreachableException(),
    };
}
