using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>The gated feed-forward part: down(silu(gate(x)) ⊙ up(x)) (Shazeer, arXiv 2002.05202).</summary>
internal sealed class FeedForward : nn.Module<Tensor, Tensor>
{
    private readonly ProjectionSlot _gate;
    private readonly ProjectionSlot _up;
    private readonly ProjectionSlot _down;

    public FeedForward(DecoderConfig config, string path, Func<string, Parameter> weight)
        : base(nameof(FeedForward))
    {
        _gate = Slot("gate_proj");
        _up = Slot("up_proj");
        _down = Slot("down_proj");

        ProjectionSlot Slot(string name) => new(this, path, name, nn.Linear(
            weight($"{path}.{name}.weight"), config.MlpBias ? weight($"{path}.{name}.bias") : null));
    }

    public IEnumerable<ProjectionSlot> Projections => [_gate, _up, _down];

    public override Tensor forward(Tensor input) => _down.Apply(nn.functional.silu(_gate.Apply(input)) * _up.Apply(input));
}
