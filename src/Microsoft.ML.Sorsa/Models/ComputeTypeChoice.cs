using System.Globalization;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>What a model computes in, with what there is to say about it.</summary>
/// <param name="Type">The type.</param>
/// <param name="Remark">For the log: why it was chosen, or what is wrong with it; null: nothing is to be said.</param>
/// <param name="IsWidened">The processor does not multiply this type: another one is multiplied in its place.</param>
internal sealed record ComputeTypeChoice(ScalarType Type, string? Remark = null, bool IsWidened = false)
{
    /// <summary>Cards from Ampere on multiply bfloat16 themselves.</summary>
    private const int Ampere = 8;

    /// <summary>It has 16 bits, in which no weight can train.</summary>
    public bool IsNarrow => Type is ScalarType.BFloat16 or ScalarType.Float16;

    /// <summary>What was asked for, or by processor and shapes where that was left to us.</summary>
    /// <param name="asked">The option.</param>
    /// <param name="stored">What the checkpoint is stored in.</param>
    /// <param name="model">Its sizes.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="trainsEveryWeight">Every weight trains, not adapters alone or nothing.</param>
    public static ComputeTypeChoice Of(WeightType asked, ScalarType stored, DecoderSpec model, Device device, bool trainsEveryWeight) =>
        device.type == DeviceType.CPU ? OnCpu(asked, stored, model, trainsEveryWeight, Processor.BFloat16)
        : asked == WeightType.Auto ? OnGpu(trainsEveryWeight, CudaRuntime.Capability(Math.Max(0, device.index)))
        : Given(asked.ToScalarType(stored), device);

    /// <summary>The same on a processor of this kind.</summary>
    public static ComputeTypeChoice OnCpu(
        WeightType asked, ScalarType stored, DecoderSpec model, bool trainsEveryWeight, BFloat16Support support)
    {
        if (asked == WeightType.Auto)
        {
            return Chosen(WhyNot(model, trainsEveryWeight, support) is { } why
                ? (ScalarType.Float32, why)
                : (ScalarType.BFloat16, support == BFloat16Support.Amx
                    ? "the processor multiplies it with AMX (measured: a step takes 0.6 of Float32's time)"
                    : "the processor multiplies it with AVX512-BF16 (measured: a step takes 0.65 of Float32's time)"));
        }

        return OnCpu(asked.ToScalarType(stored), support);
    }

    /// <summary>A type that is given, on a device.</summary>
    public static ComputeTypeChoice Given(ScalarType type, Device device) =>
        device.type == DeviceType.CPU ? OnCpu(type, Processor.BFloat16) : new ComputeTypeChoice(type);

    /// <summary>A type that is given, on a processor of this kind.</summary>
    public static ComputeTypeChoice OnCpu(ScalarType type, BFloat16Support support)
    {
        if (ProductType.OnCpu(type, support) == type)
        {
            return new ComputeTypeChoice(type);
        }

        (string lacks, string figures) = type == ScalarType.BFloat16
            ? ("neither AMX nor AVX512-BF16", "a training step takes 1.0 to 1.1 times as long as in Float32, a prompt 1.0 to 1.5, "
                + "a generated token 0.6 to 0.9")
            : ("no AVX512-FP16", "a prompt takes 1.0 to 1.6 times as long as in Float32, a generated token 1.1 to 2.1");
        return new ComputeTypeChoice(
            type,
            $"The model computes in {type}, and this processor has {lacks}: matrices are multiplied in Float32. The weights take half the "
            + $"memory; {figures} (docs/types.md). What trains fastest here is {WeightType.Float32} as ComputeType, or {WeightType.Auto}.",
            IsWidened: true);
    }

    /// <summary>Tells what there is to say.</summary>
    public void Tell(IChannel log)
    {
        if (Remark is not null && IsWidened)
        {
            log.Warning(MessageSensitivity.None, Remark);
        }
        else if (Remark is not null)
        {
            log.Info(MessageSensitivity.None, Remark);
        }
    }

    /// <summary>The choice on a card of this compute capability.</summary>
    public static ComputeTypeChoice OnGpu(bool trainsEveryWeight, int? capability) => Chosen(
        trainsEveryWeight ? (ScalarType.Float32, EveryWeight)
        : capability is null ? (ScalarType.Float32, "the card's compute capability cannot be told")
        : capability >= Ampere ? (ScalarType.BFloat16, "the card multiplies it itself")
        : (ScalarType.Float32, string.Create(
            CultureInfo.InvariantCulture, $"cards of compute capability {capability} do not multiply BFloat16 themselves")));

    private const string EveryWeight = "every weight trains in it, and in 16 bits small steps are rounded away";

    private static ComputeTypeChoice Chosen((ScalarType Type, string Why) choice) =>
        new(choice.Type, $"ComputeType {WeightType.Auto}: {choice.Type}, since {choice.Why}.");

    /// <summary>
    /// The least hidden size at which products are so much of a step that bfloat16 was faster (docs/types.md). At 128 it was not: as fast
    /// with AVX512-BF16, and 1.6 times slower with AMX, where nothing between 128 and 576 was measured.
    /// </summary>
    private static int LeastHiddenSize(BFloat16Support support) => support == BFloat16Support.Amx ? 512 : 256;

    /// <summary>Why not bfloat16, as the end of a sentence; null: it is faster.</summary>
    private static string? WhyNot(DecoderSpec model, bool trainsEveryWeight, BFloat16Support support) =>
        trainsEveryWeight ? EveryWeight
        : support == BFloat16Support.Unknown ? "it was measured on x64 processors alone"
        : support == BFloat16Support.None ? "the processor has neither AMX nor AVX512-BF16, and multiplies BFloat16 as Float32"
        : model.HiddenSize < LeastHiddenSize(support) ? string.Create(CultureInfo.InvariantCulture,
            $"the model's hidden size is {model.HiddenSize}, and BFloat16 pays from {LeastHiddenSize(support)} on")
        : null;
}
