using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>A way of fine-tuning: how a projection's adapter starts, and what the method does beside the loss's gradient.</summary>
internal abstract class AdapterMethod
{
    /// <summary>The share of an adapter's input that is set to zero in training; the frozen weight's input is left alone.</summary>
    public double Dropout { get; init; }

    /// <summary>Where dropout draws from, on the model's device; needed only for dropout.</summary>
    public Generator? DropoutGenerator { get; init; }

    /// <summary>The weight beside the trained part is kept in NF4.</summary>
    public bool Quantized { get; init; }

    /// <summary>What else trains: every weight of the model that is in no adapter.</summary>
    public virtual bool TrainsEveryWeight => false;

    /// <summary>The penalty on <see cref="Adapter.OrthonormalFactors"/>, or null.</summary>
    public virtual OrthonormalityPenalty? Penalty => null;

    /// <summary>
    /// The adapter of one projection, at its start. It may keep the projection's weight (see <see cref="Adapter.Keeps"/>), and keeps its bias;
    /// it changes neither.
    /// </summary>
    /// <param name="path">The projection's checkpoint name.</param>
    /// <param name="linear">The projection.</param>
    public abstract Adapter Create(string path, Linear linear);

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

    /// <summary>What happens once the optimizer has made a step; the gradients are still set.</summary>
    /// <param name="adapters">All of them, in the order in which they were made.</param>
    /// <param name="step">Counted from 0.</param>
    public virtual void AfterStep(IReadOnlyList<Adapter> adapters, int step)
    {
    }
}

/// <summary>A weighted penalty on what should be orthonormal.</summary>
/// <param name="Weight">γ; above 0.</param>
/// <param name="Mean">The mean over the matrices; otherwise their sum.</param>
/// <param name="InLoss">
/// True: γ · L_reg is a summand of the loss, and clipped with it (AdaLoRA). False: its gradient joins the clipped one, times γ / η_d (SORSA, Eq. 11).
/// </param>
internal sealed record OrthonormalityPenalty(double Weight, bool Mean, bool InLoss);
