using Microsoft.ML.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>Where to compute, decided as in ML.NET's own deep-learning trainers.</summary>
internal static class TorchDevice
{
    /// <summary>
    /// The GPU that MLContext.GpuDeviceId names; without one, or where there is none and FallbackToCpu allows it, the CPU.
    /// </summary>
    /// <exception cref="InvalidOperationException">A GPU is asked for, there is none, and FallbackToCpu is false.</exception>
    public static Device Of(IHostEnvironment env)
    {
        var settings = (IHostEnvironmentInternal)env;
        if (settings.GpuDeviceId is not { } gpu)
        {
            return CPU;
        }

        int count = cuda.is_available() ? cuda.device_count() : 0;
        if (gpu >= 0 && gpu < count)
        {
            return new Device(DeviceType.CUDA, gpu);
        }

        return settings.FallbackToCpu
            ? CPU
            : throw new InvalidOperationException(
                $"MLContext.GpuDeviceId is {gpu}, and {count} CUDA devices can be used. Set it to null, set FallbackToCpu to true, or " +
                "build with the CUDA package (-p:TorchBackend=cuda).");
    }

    /// <summary>TorchSharp's own comparison of two devices is that of the objects.</summary>
    public static bool IsSame(Device a, Device b) => a.type == b.type && a.index == b.index;
}
