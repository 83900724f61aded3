using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>The CUDA runtime that libtorch loaded, for what TorchSharp does not tell.</summary>
internal static unsafe class CudaRuntime
{
    /// <summary>Attributes of a card, cudaDevAttr..., from CUDA's driver_types.h.</summary>
    private const int MultiProcessorCount = 16, CapabilityMajor = 75, CapabilityMinor = 76;

    /// <summary>The runtime among the libraries of this process; null where it is linked into another one.</summary>
    public static nint? Library()
    {
        using var process = Process.GetCurrentProcess();
        string? path = process.Modules.Cast<ProcessModule>()
            .FirstOrDefault(module => module.ModuleName.StartsWith("libcudart", StringComparison.Ordinal)
                || module.ModuleName.StartsWith("cudart64", StringComparison.OrdinalIgnoreCase))?.FileName;
        return path is not null && NativeLibrary.TryLoad(path, out nint library) ? library : null;
    }

    /// <summary>The first number of a card's compute capability, as 8 for Ampere; null where it cannot be told.</summary>
    public static int? Capability(int device) => Attribute(device, CapabilityMajor);

    /// <summary>What tells kinds of cards apart: compute capability and multiprocessors; null where they cannot be told.</summary>
    public static string? Kind(int device) =>
        Attribute(device, CapabilityMajor) is { } major && Attribute(device, CapabilityMinor) is { } minor
        && Attribute(device, MultiProcessorCount) is { } count
            ? string.Create(CultureInfo.InvariantCulture, $"compute capability {major}.{minor}, {count} multiprocessors") : null;

    private static int? Attribute(int device, int attribute)
    {
        int value;
        return Library() is { } library && NativeLibrary.TryGetExport(library, "cudaDeviceGetAttribute", out nint get)
            && ((delegate* unmanaged<int*, int, int, int>)get)(&value, attribute, device) == 0 ? value : null;
    }
}
