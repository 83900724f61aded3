using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>The kind of processor that a device is: another kind rounds otherwise, and takes another time.</summary>
internal static class ProcessorName
{
    // CPUID's leaves with the name, 16 letters each; Intel, Software Developer's Manual, volume 2, CPUID.
    private const uint Leaves = 0x80000000, First = 0x80000002, Last = 0x80000004;

    public static string Of(Device device) => device.type == DeviceType.CPU
        ? OfCpu() ?? RuntimeInformation.ProcessArchitecture.ToString()
        : CudaRuntime.Kind(Math.Max(0, device.index)) ?? device.type.ToString();

    private static string? OfCpu()
    {
        if (!X86Base.IsSupported || (uint)X86Base.CpuId(unchecked((int)Leaves), 0).Eax < Last)
        {
            return null;
        }

        var letters = new List<int>();
        for (uint leaf = First; leaf <= Last; leaf++)
        {
            (int eax, int ebx, int ecx, int edx) = X86Base.CpuId((int)leaf, 0);
            letters.AddRange([eax, ebx, ecx, edx]);
        }

        return Encoding.ASCII.GetString(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(letters))).Split('\0')[0].Trim();
    }
}
