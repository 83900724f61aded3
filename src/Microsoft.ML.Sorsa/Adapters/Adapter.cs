using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// What stands in for a projection y = x Wᵀ + b while it is trained: a method's initialisation, forward and merge, and what it
/// wants kept orthonormal. The training loop, the merge and the files know no more of a method than this.
/// </summary>
internal abstract class Adapter(string name) : nn.Module<Tensor, Tensor>(name)
{
    /// <summary>What the optimizer updates, under the method's own symbols.</summary>
    public abstract IReadOnlyList<KeyValuePair<string, Parameter>> Trainable { get; }

    /// <summary>What the regularizer of Eq. (9) acts on; empty for methods without one.</summary>
    public virtual IReadOnlyList<OrthonormalFactor> OrthonormalFactors => [];

    /// <summary>b [out] of the projection; frozen.</summary>
    public abstract Parameter? Bias { get; }

    /// <summary>The weight [out, in] that does the same as this adapter, in at least float32. The caller owns it.</summary>
    public abstract Tensor MergedWeight();

    /// <summary>Frees every tensor but the bias, which the merged projection takes over.</summary>
    public void Free()
    {
        foreach (Parameter parameter in parameters().Where(parameter => !ReferenceEquals(parameter, Bias)))
        {
            parameter.grad?.Dispose();
            parameter.grad = null;
            parameter.Dispose();
        }
    }
}

/// <summary>A trained matrix whose columns (U [out, r]) or rows (Vt [r, in]) are kept orthonormal.</summary>
internal sealed record OrthonormalFactor(Parameter Matrix, bool Rows);
