using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>A projection whose weight is a field, and so a buffer and no parameter.</summary>
internal sealed class BufferLinear : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")]
    private Tensor? _weight;

    public BufferLinear(int inputs, int outputs)
        : base(nameof(BufferLinear))
    {
        _weight = zeros(outputs, inputs);
        RegisterComponents();
    }

    /// <summary>In float32, whatever the types are.</summary>
    public override Tensor forward(Tensor input) =>
        nn.functional.linear(input.to(ScalarType.Float32), _weight!.to(ScalarType.Float32)).to(input.dtype);

    /// <summary>Leaves the weight in few bits under another name, as GenAI's quantised projections do.</summary>
    public void Quantise(string name)
    {
        register_buffer(name, _weight!.to(ScalarType.Int8));
        _internal_buffers.Remove("weight");
        _weight = null;
    }
}
