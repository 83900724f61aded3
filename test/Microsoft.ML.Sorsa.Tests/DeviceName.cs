using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>The device that a command line or a variable names: cpu, cuda, or cuda:1. The benchmarks use it, too.</summary>
internal static class DeviceName
{
    private const string Cuda = "cuda";

    /// <param name="text">The name.</param>
    /// <param name="argument">What errors call it.</param>
    /// <exception cref="ArgumentException">It is none of these, or names a GPU that is not there.</exception>
    public static Device Parse(string text, string argument)
    {
        if (text == "cpu")
        {
            return CPU;
        }

        string number = text == Cuda ? "0" : text.StartsWith(Cuda + ":", StringComparison.Ordinal) ? text[(Cuda.Length + 1)..] : "";
        if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int index))
        {
            throw new ArgumentException($"{argument} is '{text}'; it must be cpu, cuda or cuda:N.");
        }

        int count = cuda.is_available() ? cuda.device_count() : 0;
        return index < count ? new Device(DeviceType.CUDA, index) : throw new ArgumentException(
            string.Create(CultureInfo.InvariantCulture, $"{argument} is '{text}', and {count} CUDA devices can be used. ")
            + "Use cpu, or a libtorch with CUDA on a machine with a GPU (docs/gpu.md).");
    }
}
