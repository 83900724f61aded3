using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Dora;

/// <summary>DoRA: LoRA's start on the direction of every row; the magnitudes start as the rows' own.</summary>
internal sealed class DoraMethod : AdapterMethod
{
    private const string Magnitude = "lora_magnitude_vector";

    public static MethodDescriptor Descriptor { get; } = new()
    {
        Method = FineTuningMethod.Dora,
        Name = "dora",
        DefaultLearningRate = 3e-3,
        Options = MethodOptions.LowRank,
        Create = (settings, run) => new DoraMethod
        {
            Rank = settings.RankOrDefault,
            Scale = settings.Scale,
            Initialization = run.Initialization,
            Dropout = run.InputDropout(settings),
            Quantized = settings.IsQuantized,
        },
        Memory = Memory,
        Tensors = [AdapterTensor.LoraA, AdapterTensor.LoraB, new(Magnitude, Axis.Out) { PeftName = Magnitude }],
        Restore = saved => new DoraLinear(
            saved.Freeze(), saved.Copy("lora_A"), saved.Copy("lora_B"), saved.Copy(Magnitude), saved.Bias, saved.Scale),
        Peft = new PeftForm(UseDora: true),
        NoLoraDifference = "DoRA scales whole rows, which no LoRA adapter does. Choose AdapterFormat.Peft, which has DoRA, "
            + "or save the merged model with SaveHuggingFace or SaveGguf.",
    };

    public override MethodDescriptor Method => Descriptor;

    /// <summary>r.</summary>
    public required int Rank { get; init; }

    /// <summary>c = α / r.</summary>
    public required double Scale { get; init; }

    /// <summary>Where A is drawn from; on the CPU.</summary>
    public required Generator Initialization { get; init; }

    private static AdapterMemory Memory(MethodSettings settings, AdaptedShape shape)
    {
        AdapterMemory lora = AdapterMemory.LowRank(settings, shape);
        long magnitude = shape.Out, dense = shape.IsNarrow && !shape.IsWidened ? shape.Count * AdaptedShape.TrainedSize : 0;
        return lora with
        {
            // The output before the magnitude: its gradient needs it, and has the product of the two, and that of the output.
            Trained = lora.Trained + magnitude,
            Kept = magnitude * AdaptedShape.TrainedSize,
            PerToken = lora.PerToken + (shape.Out * shape.TypeSize),
            Working = lora.Working + dense,
            Start = Math.Max(lora.Start, shape.Count * AdaptedShape.TrainedSize * 2),
            Saved = lora.Saved + (magnitude * AdaptedShape.TrainedSize),
        };
    }

    public override Adapter Create(string path, Linear linear)
    {
        (Tensor a, Tensor b) = LoraMethod.Start(linear.weight, Rank, Initialization);
        (FrozenWeight frozen, QuantizationError? error) = Freeze(linear);
        return new DoraLinear(frozen, a, b, DoraLinear.Magnitude(frozen, a.dtype), linear.bias, Scale)
        {
            Dropout = Dropout,
            QuantizationError = error,
        };
    }
}
