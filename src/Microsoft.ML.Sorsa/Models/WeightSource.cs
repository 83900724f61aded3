using Microsoft.ML.Sorsa.Checkpoints;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// Where a model that is built gets its weights from. Each layer asks for its own by name and shape, and nothing else lists them:
/// a build over <see cref="RecordedWeights"/> is the list of what a checkpoint must hold.
/// </summary>
internal abstract class WeightSource
{
    /// <param name="name">The name in the checkpoint.</param>
    /// <param name="shape">The shape there.</param>
    /// <returns>A frozen weight, which the caller owns.</returns>
    public abstract Parameter Get(string name, params long[] shape);

    protected static Parameter Frozen(Tensor weight) => new(weight, requires_grad: false);
}

/// <summary>Takes them out of a checkpoint, whose shapes were verified against those of a recorded build.</summary>
internal sealed class LoadedWeights(Checkpoint checkpoint, ScalarType type, Device device) : WeightSource
{
    public override Parameter Get(string name, params long[] shape) => Frozen(checkpoint.Take(name, type, device));
}

/// <summary>Shares those of another model: no byte is copied.</summary>
internal sealed class SharedWeights(IReadOnlyDictionary<string, Tensor> weights) : WeightSource
{
    public override Parameter Get(string name, params long[] shape) => Frozen(weights[name].detach().DetachFromDisposeScope());
}

/// <summary>
/// Writes down what is asked for. Every weight is the same empty tensor, so that this costs no memory; what is built cannot compute.
/// </summary>
internal sealed class RecordedWeights : WeightSource
{
    private static readonly Parameter s_nothing = Frozen(empty(0, 0).DetachFromDisposeScope());

    private readonly SortedDictionary<string, long[]> _shapes = new(StringComparer.Ordinal);

    /// <summary>Every name with its shape, in ordinal order.</summary>
    public IReadOnlyDictionary<string, long[]> Shapes => _shapes;

    public override Parameter Get(string name, params long[] shape)
    {
        _shapes.Add(name, shape);
        return s_nothing;
    }
}

/// <summary>What a model consists of, without its weights.</summary>
/// <param name="Tensors">The names and shapes of its checkpoint, in ordinal order.</param>
/// <param name="Projections">What can be adapted, in the order of the layers.</param>
internal sealed record DecoderLayout(IReadOnlyDictionary<string, long[]> Tensors, IReadOnlyList<ProjectionShape> Projections)
{
    /// <summary>The names that TargetModules may hold: q_proj, k_proj, ...</summary>
    public IReadOnlyList<string> TargetModules => [.. Projections.Select(projection => projection.Name).Distinct(StringComparer.Ordinal)];
}

/// <param name="Path">The name in the checkpoint without ".weight", such as model.layers.0.self_attn.q_proj.</param>
/// <param name="Name">Its last part, such as q_proj.</param>
/// <param name="Shape">[out, in].</param>
internal sealed record ProjectionShape(string Path, string Name, long[] Shape);
