using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>A way of fine-tuning: how a projection's adapter starts, and what the method does beside the loss's gradient.</summary>
internal abstract class AdapterMethod
{
    /// <summary>What files call it, as in <see cref="MethodDescriptor.Name"/>.</summary>
    public abstract string Name { get; }

    /// <summary>Dropout in front of what trains; null: none.</summary>
    public InputDropout? Dropout { get; init; }

    /// <summary>The weight beside the trained part is kept in NF4.</summary>
    public bool Quantized { get; init; }

    /// <summary>What else trains: every weight of the model that is in no adapter.</summary>
    public virtual bool TrainsEveryWeight => false;

    /// <summary>The penalty on <see cref="Adapter.OrthonormalFactors"/>, or null.</summary>
    public virtual OrthonormalityPenalty? Penalty => null;

    /// <summary>
    /// The adapter of one projection, at its start. It may keep the projection's weight (see <see cref="Adapter.Keeps"/>), and keeps its
    /// bias; it changes neither.
    /// </summary>
    /// <param name="path">The projection's checkpoint name.</param>
    /// <param name="linear">The projection.</param>
    public abstract Adapter Create(string path, Linear linear);

    /// <summary>What happens once the optimizer has made a step; the gradients are still set.</summary>
    /// <param name="adapters">All of them, in the order in which they were made.</param>
    /// <param name="step">Counted from 0.</param>
    public virtual void AfterStep(IReadOnlyList<Adapter> adapters, int step)
    {
    }

    /// <summary>A projection's weight as it is kept beside a trained update: itself, or quantised; and what quantising cost.</summary>
    protected (FrozenWeight Frozen, QuantizationError? Error) Freeze(Linear linear)
    {
        if (!Quantized)
        {
            return (new PlainWeight(linear.weight), null);
        }

        var quantized = new Nf4Weight(linear.weight);
        double error = QuantizationError.Relative(linear.weight, quantized, null);
        return (quantized, new QuantizationError(error, null, error));
    }
}

/// <summary>A weighted penalty on what should be orthonormal.</summary>
/// <param name="Weight">γ; above 0.</param>
/// <param name="Mean">The mean over the matrices; otherwise their sum.</param>
/// <param name="InLoss">
/// True: γ · L_reg is a summand of the loss, and clipped with it (AdaLoRA). False: its gradient joins the clipped one, times γ / η_d
/// (SORSA, Eq. 11).
/// </param>
internal sealed record OrthonormalityPenalty(double Weight, bool Mean, bool InLoss);

/// <summary>
/// Values that factors start from, on the weight's device, in float32, or in float64 where the weight is. They are drawn on the CPU: a seed
/// means the same on every device. The caller owns them.
/// </summary>
internal static class AdapterStart
{
    /// <summary>The type that factors of a weight train in.</summary>
    public static ScalarType TypeFor(Tensor weight) => weight.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;

    public static Tensor Zeros(long[] shape, Tensor weight) => zeros(shape, TypeFor(weight), weight.device).DetachFromDisposeScope();

    /// <summary>Uniform in ±<paramref name="bound"/>.</summary>
    public static Tensor Uniform(long[] shape, double bound, Tensor weight, Generator generator)
    {
        using var scope = NewDisposeScope();
        Tensor values = rand(shape, TypeFor(weight), CPU, generator: generator).Scale(2 * bound).Shift(-bound);
        return values.to(weight.device).DetachFromDisposeScope();
    }

    /// <summary>Normal around 0.</summary>
    public static Tensor Normal(long[] shape, double deviation, Tensor weight, Generator generator)
    {
        using var scope = NewDisposeScope();
        return randn(shape, TypeFor(weight), CPU, generator: generator).Scale(deviation).to(weight.device).DetachFromDisposeScope();
    }
}
