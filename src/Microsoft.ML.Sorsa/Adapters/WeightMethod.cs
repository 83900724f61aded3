using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>Full fine-tuning, where everything trains, and partial fine-tuning, where the targets' weights do.</summary>
internal sealed class WeightMethod : AdapterMethod
{
    /// <summary>Full: biases, embeddings, norms and the head train too.</summary>
    public required bool Everything { get; init; }

    public override bool TrainsEveryWeight => Everything;

    public override Adapter Create(string path, Linear linear)
    {
        using var scope = NewDisposeScope();
        Tensor weight = linear.weight.detach().to(AdapterStart.TypeFor(linear.weight), copy: true);
        return new TrainedLinear(new PlainWeight(linear.weight), weight.DetachFromDisposeScope(), linear.bias, Everything);
    }
}
