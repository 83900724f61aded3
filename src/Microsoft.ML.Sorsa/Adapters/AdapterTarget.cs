using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>A projection of a model that an adapter stands in for.</summary>
internal abstract class AdapterTarget(string path)
{
    /// <summary>The projection's name in the model, such as model.layers.0.self_attn.q_proj.</summary>
    public string Path { get; } = path;

    /// <summary>The projection, as an adapter is made from it.</summary>
    public abstract Linear Projection();

    /// <summary>Puts the adapter in the projection's place, and frees the projection's weight unless the adapter keeps it.</summary>
    public abstract void Attach(Adapter adapter, Linear projection);

    /// <summary>Makes the model compute with the adapter's present values.</summary>
    public virtual void WriteWeights(Adapter adapter)
    {
    }

    /// <summary>Brings the gradients of a backward pass to the adapter's trained tensors.</summary>
    public virtual void CollectGradients(Adapter adapter)
    {
    }

    /// <summary>
    /// Puts the projection back as it was, and frees the adapter. Nothing to do where the model goes as a whole when its training fails.
    /// </summary>
    public virtual void Discard(Adapter adapter)
    {
    }

    /// <summary>Puts a plain projection of this weight [out, in], of the stored type, in the adapter's place.</summary>
    public abstract void Merge(Adapter adapter, Tensor weight);

    /// <summary>Frees what was needed to take the merge back, once every target is merged.</summary>
    public virtual void Release(Adapter adapter)
    {
    }
}

/// <summary>A projection of our own decoder, which the adapter replaces.</summary>
/// <param name="slot">Where it is.</param>
/// <param name="computeType">What the model computes in.</param>
/// <param name="keepsProjection">The projection that was there is still needed: nothing of it is freed.</param>
internal sealed class ProjectionTarget(ProjectionSlot slot, ScalarType computeType, bool keepsProjection = false) : AdapterTarget(slot.Path)
{
    public override Linear Projection()
    {
        var linear = (Linear)slot.Module;
        return keepsProjection
            ? nn.Linear(new Parameter(linear.weight.detach().DetachFromDisposeScope(), requires_grad: false), linear.bias)
            : linear;
    }

    public override void Attach(Adapter adapter, Linear projection)
    {
        slot.Exchange(adapter);
        if (!adapter.Keeps(projection.weight))
        {
            projection.weight.Dispose();
        }
    }

    public override void Merge(Adapter adapter, Tensor weight)
    {
        if (adapter.Bias is { } bias)
        {
            bias.requires_grad = false;
        }

        slot.Exchange(nn.Linear(new Parameter(weight.to(computeType).DetachFromDisposeScope(), requires_grad: false), adapter.Bias));
        adapter.Free();
    }
}

/// <summary>
/// A weight of a module that is not ours and cannot be exchanged: the adapter stays outside, its weight is written into the module's own
/// tensor before each forward pass, and that tensor's gradient is brought to the adapter by the adapter's own derivative.
/// </summary>
internal sealed class TensorTarget(string path, Tensor weight) : AdapterTarget(path)
{
    private readonly bool _requiresGrad = weight.requires_grad;
    private Tensor? _original;

    /// <summary>The type of some weights, or float32 where it is not the same for all.</summary>
    public static ScalarType CommonType(IEnumerable<Tensor> weights) =>
        weights.Select(weight => weight.dtype).Distinct().ToArray() is [var only] ? only : ScalarType.Float32;

    /// <summary>A copy: the tensor itself is written over in training.</summary>
    public override Linear Projection()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor copy = weight.detach().to(AdapterStart.TypeFor(weight), copy: true);
        return nn.Linear(new Parameter(copy.DetachFromDisposeScope(), requires_grad: false));
    }

    public override void Attach(Adapter adapter, Linear projection)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        _original = weight.detach().clone().DetachFromDisposeScope();
        weight.requires_grad = false;
        if (!adapter.Keeps(projection.weight))
        {
            projection.weight.Dispose();
        }
    }

    public override void WriteWeights(Adapter adapter)
    {
        using var scope = NewDisposeScope();
        weight.requires_grad = false;
        using (no_grad())
        {
            weight.copy_(adapter.Weight());
        }

        weight.requires_grad = is_grad_enabled();
    }

    public override void CollectGradients(Adapter adapter)
    {
        using var scope = NewDisposeScope();
        if (weight.grad is { } gradient)
        {
            Tensor adapted = adapter.Weight();
            autograd.backward(adapted, gradient.to(adapted.dtype));
            weight.grad = null;
        }

        weight.requires_grad = false;
    }

    public override void Discard(Adapter adapter)
    {
        Write(_original!);
        Release(adapter);
    }

    public override void Merge(Adapter adapter, Tensor merged) => Write(merged);

    public override void Release(Adapter adapter)
    {
        adapter.Free();
        _original?.Dispose();
        _original = null;
    }

    private void Write(Tensor final)
    {
        using var noGrad = no_grad();
        weight.grad = null;
        weight.requires_grad = false;
        weight.copy_(final);
        weight.requires_grad = _requiresGrad;
    }
}
