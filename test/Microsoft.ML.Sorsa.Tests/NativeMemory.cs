using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>What glibc has handed out, in bytes: libtorch's tensors on the CPU among it.</summary>
internal static class NativeMemory
{
    public static bool IsCounted { get; } = OperatingSystem.IsLinux()
        && NativeLibrary.TryLoad("libc.so.6", out nint libc) && NativeLibrary.TryGetExport(libc, "mallinfo2", out _);

    public static long Allocated()
    {
        Info info = Read();
        return (long)(info.UsedBlocks + info.MappedBytes);
    }

    [DllImport("libc.so.6", EntryPoint = "mallinfo2")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern Info Read();

    /// <summary>struct mallinfo2 of malloc.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Info
    {
        private readonly nuint _arena, _freeBlocks, _fastBlocks, _mappedBlocks;

        public readonly nuint MappedBytes;

        private readonly nuint _unused, _fastBytes;

        public readonly nuint UsedBlocks;

        private readonly nuint _freeBytes, _keepCost;
    }
}
