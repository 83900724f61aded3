using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// A projection of the base, and what a file keeps of its adapter: what <see cref="MethodDescriptor.Restore"/> makes an adapter from.
/// </summary>
/// <param name="linear">The projection; it is not changed, and may be kept.</param>
/// <param name="scale">c.</param>
/// <param name="isQuantized">The adapter was trained beside a weight in NF4.</param>
/// <param name="tensors">By <see cref="AdapterTensor.Name"/>.</param>
internal sealed class SavedProjection(Linear linear, double scale, bool isQuantized, IReadOnlyDictionary<string, Tensor> tensors)
{
    /// <summary>c.</summary>
    public double Scale => scale;

    /// <summary>W [out, in].</summary>
    public Tensor Weight => linear.weight;

    /// <summary>b [out], or null.</summary>
    public Parameter? Bias => linear.bias;

    /// <summary>The product that W lost at the start, copied; null where the file lacks it, as PEFT's do. The caller owns it.</summary>
    public (Tensor B, Tensor A)? CopyStart() =>
        tensors.ContainsKey(LowRankAdapter.StartB) ? (Copy(LowRankAdapter.StartB), Copy(LowRankAdapter.StartA)) : null;

    /// <summary>A copy of a tensor, on the projection's device, in the type that an adapter trains in. The caller owns it.</summary>
    public Tensor Copy(string name) => tensors[name].to(AdapterStart.TypeFor(Weight), Weight.device, copy: true).DetachFromDisposeScope();

    /// <summary>W as it stands beside an update: itself, or quantised.</summary>
    public FrozenWeight Freeze() => isQuantized ? new Nf4Weight(Weight) : new PlainWeight(linear.weight);

    /// <summary>W − B A, of the product that training started from, in W's type, or quantised.</summary>
    public FrozenWeight FreezeResidual((Tensor B, Tensor A) start) => PrincipalSplit.Residual(linear, start.B, start.A, isQuantized);
}
