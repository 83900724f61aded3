using Microsoft.ML.Sorsa.Adapters.Quantization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// What stands in for a projection y = x Wᵀ + b while it is trained: a method's forward and merge, and what it wants kept orthonormal.
/// The training loop, the merge and the files know no more of a method than this and <see cref="AdapterMethod"/>.
/// </summary>
internal abstract class Adapter(string name) : nn.Module<Tensor, Tensor>(name)
{
    /// <summary>What the optimizer updates, under the method's own symbols.</summary>
    public abstract IReadOnlyList<KeyValuePair<string, Parameter>> Trainable { get; }

    /// <summary>What the regularizer of Eq. (9) acts on; empty for methods without one.</summary>
    public virtual IReadOnlyList<OrthonormalFactor> OrthonormalFactors => [];

    /// <summary>What the method remembers of this projection between two steps, by name; empty for most.</summary>
    public virtual IEnumerable<KeyValuePair<string, Tensor>> State => [];

    /// <summary>What quantising the frozen weight cost; null where it is not quantised.</summary>
    public QuantizationError? QuantizationError { get; init; }

    /// <summary>b [out] of the projection; the merged one takes it over.</summary>
    public abstract Parameter? Bias { get; }

    /// <summary>
    /// The weight [out, in] that does the same as this adapter, in at least float32, as a function of what trains. The caller owns it.
    /// </summary>
    public abstract Tensor Weight();

    /// <summary>The weight [out, in] that it started from, in the type of <see cref="Weight"/>. The caller owns it.</summary>
    public abstract Tensor InitialWeight();

    /// <summary><see cref="Weight"/> without a gradient.</summary>
    public Tensor MergedWeight()
    {
        using var noGrad = no_grad();
        using Tensor weight = Weight();
        return weight.detach();
    }

    /// <summary>Frees every tensor but the bias.</summary>
    public void Free()
    {
        foreach (Parameter parameter in parameters().Where(parameter => !ReferenceEquals(parameter, Bias)))
        {
            parameter.grad?.Dispose();
            parameter.grad = null;
            parameter.Dispose();
        }

        foreach (Tensor buffer in buffers())
        {
            buffer.Dispose();
        }
    }

    /// <summary>Whether it keeps this very tensor.</summary>
    public bool Keeps(Tensor tensor) => parameters().Any(parameter => ReferenceEquals(parameter, tensor));
}

/// <summary>A trained matrix whose columns (U [out, r]) or rows (Vt [r, in]) are kept orthonormal.</summary>
internal sealed record OrthonormalFactor(Parameter Matrix, bool Rows);
