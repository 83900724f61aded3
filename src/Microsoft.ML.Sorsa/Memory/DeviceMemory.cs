using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>
/// What is free where a model is to be trained. On the CPU that is the machine's memory and, on Linux, what the container's limit leaves,
/// whichever is less; on a GPU what the CUDA runtime of this process says. TorchSharp has no statistics of memory.
/// </summary>
internal static unsafe class DeviceMemory
{
    /// <summary>Null where it cannot be told.</summary>
    public static AvailableMemory? Of(Device device) => device.type switch
    {
        DeviceType.CPU => OfMachine("/"),
        DeviceType.CUDA => OfGpu(device.index),
        _ => null,
    };

    /// <summary>Refuses what is more than there is, where that can be told.</summary>
    /// <param name="bytes">What is needed.</param>
    /// <param name="device">Where.</param>
    /// <param name="what">What needs it, with its verb: the beginning of the error.</param>
    /// <exception cref="InsufficientMemoryException">It is more.</exception>
    public static void Require(long bytes, Device device, string what)
    {
        if (Of(device) is { } available && available.Bytes < bytes)
        {
            throw new InsufficientMemoryException(
                $"{what} {ByteText.Of(bytes)} of memory on {device}, and {ByteText.Of(available.Bytes)} are free there, since "
                + $"{available.Source}. Choose {WeightType.Checkpoint} or {WeightType.BFloat16} as ComputeType, free memory, or set "
                + "MemoryCheck to false to load them all the same.");
        }
    }

    /// <param name="root">Where proc and sys are; "/" but in tests.</param>
    internal static AvailableMemory? OfMachine(string root)
    {
        AvailableMemory? machine = OperatingSystem.IsLinux() ? OfLinux(Path.Combine(root, "proc/meminfo")) : OfRuntime();
        AvailableMemory? group = OperatingSystem.IsLinux() ? new ControlGroup(root).Available() : null;
        return machine is null || group?.Bytes < machine.Bytes ? group : machine;
    }

    /// <summary>What the kernel gives without swapping, caches that it can drop included.</summary>
    private static AvailableMemory? OfLinux(string path)
    {
        const string Name = "MemAvailable:";
        string? line = !File.Exists(path)
            ? null
            : File.ReadLines(path).FirstOrDefault(line => line.StartsWith(Name, StringComparison.Ordinal));
        return line?[Name.Length..].Trim().Split(' ') is [var kilobytes, ..]
            ? new AvailableMemory(long.Parse(kilobytes, CultureInfo.InvariantCulture) * 1024, $"MemAvailable of '{path}' says so")
            : null;
    }

    private static AvailableMemory OfRuntime()
    {
        GCMemoryInfo memory = GC.GetGCMemoryInfo();
        return new AvailableMemory(Math.Max(0, memory.TotalAvailableMemoryBytes - memory.MemoryLoadBytes), "the .NET runtime says so");
    }

    /// <summary>cudaMemGetInfo of the runtime that libtorch loaded; what libtorch's own cache holds counts as used.</summary>
    private static AvailableMemory? OfGpu(int index)
    {
        if (CudaRuntime.Library() is not { } library
            || !NativeLibrary.TryGetExport(library, "cudaGetDevice", out nint getDevice)
            || !NativeLibrary.TryGetExport(library, "cudaSetDevice", out nint setDevice)
            || !NativeLibrary.TryGetExport(library, "cudaMemGetInfo", out nint getInfo))
        {
            return null;
        }

        int before;
        nuint free, total;
        var select = (delegate* unmanaged<int, int>)setDevice;
        if (((delegate* unmanaged<int*, int>)getDevice)(&before) != 0 || select(index) != 0)
        {
            return null;
        }

        bool isKnown = ((delegate* unmanaged<nuint*, nuint*, int>)getInfo)(&free, &total) == 0;
        return select(before) == 0 && isKnown
            ? new AvailableMemory((long)free, $"cudaMemGetInfo says so, of {ByteText.Of((long)total)} in all")
            : null;
    }
}
