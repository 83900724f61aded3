using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Quantization;

/// <summary>A weight [out, in] that does not train, in whatever form it is kept.</summary>
internal abstract class FrozenWeight(string name) : nn.Module(name)
{
    /// <summary>[out, in].</summary>
    public abstract long[] Shape { get; }

    /// <summary>
    /// The weight as a matrix of some type: the kept tensor itself where it is one, otherwise a new one, which belongs to the dispose scope
    /// that the caller must have open.
    /// </summary>
    public abstract Tensor Dense(ScalarType type);
}

/// <summary>A weight kept as it is.</summary>
internal sealed class PlainWeight : FrozenWeight
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    /// <param name="weight">W [out, in], owned from now on.</param>
    public PlainWeight(Parameter weight)
        : base(nameof(PlainWeight))
    {
        _weight = weight;
        RegisterComponents();
    }

    public PlainWeight(Tensor weight)
        : this(new Parameter(weight, requires_grad: false))
    {
    }

    public override long[] Shape => _weight.shape;

    public override Tensor Dense(ScalarType type) => _weight.dtype == type ? _weight : _weight.to(type);
}
