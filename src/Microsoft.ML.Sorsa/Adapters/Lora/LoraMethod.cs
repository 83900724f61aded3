using Microsoft.ML.Sorsa.Adapters.Quantization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Lora;

/// <summary>LoRA and rsLoRA: W stays, A starts random and B at zero, so that the first output is the projection's own.</summary>
internal sealed class LoraMethod : AdapterMethod
{
    public static MethodDescriptor Descriptor { get; } = new()
    {
        Method = FineTuningMethod.Lora,
        Name = "lora",
        DefaultLearningRate = 3e-3,
        Options = MethodOptions.LowRank,
        Create = (settings, run) => Create(settings, run, settings.Scale, isRankStabilized: false),
        Memory = AdapterMemory.LowRank,
        Tensors = [AdapterTensor.LoraA, AdapterTensor.LoraB],
        Restore = Restore,
        Peft = new PeftForm(),
    };

    /// <summary>rsLoRA: c = α / √r.</summary>
    public static MethodDescriptor RankStabilized { get; } = Descriptor with
    {
        Method = FineTuningMethod.RsLora,
        Name = "rslora",
        DefaultLearningRate = 1e-3,
        Create = (settings, run) => Create(
            settings, run, (settings.Alpha ?? settings.RankOrDefault) / Math.Sqrt(settings.RankOrDefault), isRankStabilized: true),
        Peft = new PeftForm(UseRsLora: true),
    };

    public override MethodDescriptor Method => IsRankStabilized ? RankStabilized : Descriptor;

    /// <summary>r.</summary>
    public required int Rank { get; init; }

    /// <summary>c: α / r, or α / √r in rsLoRA.</summary>
    public required double Scale { get; init; }

    /// <summary>The scale is rsLoRA's.</summary>
    public bool IsRankStabilized { get; init; }

    /// <summary>Where A is drawn from; on the CPU.</summary>
    public required Generator Initialization { get; init; }

    public override Adapter Create(string path, Linear linear)
    {
        (Tensor a, Tensor b) = Start(linear.weight, Rank, Initialization);
        (FrozenWeight frozen, QuantizationError? error) = Freeze(linear);
        return new LoraLinear(frozen, a, b, linear.bias, Scale) { Dropout = Dropout, QuantizationError = error };
    }

    /// <summary>A [r, in], random, and B [out, r], zero, beside a weight [out, in]. The caller owns them.</summary>
    public static (Tensor A, Tensor B) Start(Tensor weight, int rank, Generator generator)
    {
        // Kaiming-uniform with a = √5, as in the authors' code and PEFT: uniform in ±1/√in.
        (long rows, long columns) = (weight.shape[0], weight.shape[1]);
        Tensor a = AdapterStart.Uniform([rank, columns], 1 / Math.Sqrt(columns), weight, generator);
        return (a, AdapterStart.Zeros([rows, rank], weight));
    }

    private static LoraMethod Create(MethodSettings settings, MethodRun run, double scale, bool isRankStabilized) => new()
    {
        Rank = settings.RankOrDefault,
        Scale = scale,
        IsRankStabilized = isRankStabilized,
        Initialization = run.Initialization,
        Dropout = run.InputDropout(settings),
        Quantized = settings.IsQuantized,
    };

    private static LoraLinear Restore(SavedProjection saved) =>
        new(saved.Freeze(), saved.Copy("lora_A"), saved.Copy("lora_B"), saved.Bias, saved.Scale);
}
