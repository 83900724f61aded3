using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>LoRA, rsLoRA and DoRA: W stays, A starts random and B at zero, so that the first output is the projection's own.</summary>
internal sealed class LoraMethod : AdapterMethod
{
    /// <summary>r.</summary>
    public required int Rank { get; init; }

    /// <summary>c: α / r, or α / √r in rsLoRA.</summary>
    public required double Scale { get; init; }

    /// <summary>The scale is rsLoRA's.</summary>
    public bool IsRankStabilized { get; init; }

    /// <summary>DoRA: a magnitude per output trains too.</summary>
    public bool HasMagnitude { get; init; }

    /// <summary>Where A is drawn from; on the CPU.</summary>
    public required Generator Initialization { get; init; }

    public override Adapter Create(string path, Linear linear)
    {
        (long rows, long columns) = (linear.weight.shape[0], linear.weight.shape[1]);

        // Kaiming-uniform with a = √5, as in the authors' code and PEFT: uniform in ±1/√in.
        Tensor a = AdapterStart.Uniform([Rank, columns], 1 / Math.Sqrt(columns), linear.weight, Initialization);
        Tensor b = AdapterStart.Zeros([rows, Rank], linear.weight);
        (FrozenWeight frozen, QuantizationError? error) = Freeze(linear);
        return HasMagnitude
            ? new DoraLinear(frozen, a, b, DoraLinear.Magnitude(frozen, a.dtype), linear.bias, Scale, this) { QuantizationError = error }
            : new LoraLinear(frozen, a, b, linear.bias, Scale, IsRankStabilized ? AdapterParts.RsLora : AdapterParts.Lora, this) { QuantizationError = error };
    }
}
