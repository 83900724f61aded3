using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>How a processor multiplies matrices of bfloat16.</summary>
internal enum BFloat16Support
{
    /// <summary>It is of a kind that was never measured here.</summary>
    Unknown,

    /// <summary>By float32 or one by one: slower than float32 matrices.</summary>
    None,

    /// <summary>By AVX512-BF16's dot products: Cooper Lake, Zen 4 and later.</summary>
    Avx512,

    /// <summary>By AMX's tiles: Sapphire Rapids and later.</summary>
    Amx,
}

/// <summary>What libtorch's products depend on that .NET does not tell.</summary>
internal static unsafe class Processor
{
    // Bits of CPUID's leaf 7; Intel, Software Developer's Manual, volume 2, CPUID.
    private const int AmxBFloat16 = 1 << 22, Avx512Float16 = 1 << 23, AmxTile = 1 << 24, Avx512BFloat16 = 1 << 5;

    // From Linux's asm/prctl.h: which parts of a thread's state a process may ask for; tiles are parts 17 and 18.
    private const int GetStateSupport = 0x1021;
    private const ulong TileState = 3UL << 17;

    public static BFloat16Support BFloat16 { get; } = FindBFloat16();

    /// <summary>Whether it multiplies float16 itself; null: unknown.</summary>
    public static bool? HasFloat16 { get; } = Leaf7(0) is { } leaf ? Has(leaf.Edx, Avx512Float16) : null;

    private static BFloat16Support FindBFloat16() =>
        Leaf7(0) is not { } leaf ? BFloat16Support.Unknown
        : !Avx512F.IsSupported ? BFloat16Support.None
        : Has(leaf.Edx, AmxBFloat16 | AmxTile) && SystemHasTiles() ? BFloat16Support.Amx
        : Has(Leaf7(1)!.Value.Eax, Avx512BFloat16) ? BFloat16Support.Avx512
        : BFloat16Support.None;

    private static (int Eax, int Edx)? Leaf7(int part)
    {
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < 7 || (part > 0 && X86Base.CpuId(7, 0).Eax < part))
        {
            return X86Base.IsSupported ? (0, 0) : null;
        }

        (int eax, _, _, int edx) = X86Base.CpuId(7, part);
        return (eax, edx);
    }

    private static bool Has(int register, int bits) => (register & bits) == bits;

    /// <summary>Tiles need a system that saves them: Linux since 5.16. It is only asked; oneDNN takes them for itself.</summary>
    private static bool SystemHasTiles()
    {
        if (!OperatingSystem.IsLinux() || !NativeLibrary.TryLoad("libc.so.6", out nint libc)
            || !NativeLibrary.TryGetExport(libc, "arch_prctl", out nint control))
        {
            return false;
        }

        ulong parts = 0;
        return ((delegate* unmanaged<int, ulong*, int>)control)(GetStateSupport, &parts) == 0 && (parts & TileState) == TileState;
    }
}
