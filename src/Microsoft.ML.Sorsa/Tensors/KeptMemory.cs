using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// While one of these is there, glibc keeps the memory that is freed for whoever asks next. Otherwise it gives every large block back to
/// the operating system, which fills it with zeros, page by page, when the next step asks for the same again: measured, half the time of a
/// full fine-tuning step. With the last of them the free memory is given back, and glibc works by its defaults again. Where the user has
/// set it by the environment it is left alone; without glibc nothing changes. Blocks above 64 MB of other threads than the first still come
/// from the operating system each time. docs/decisions/kept-memory.md says more.
/// </summary>
internal sealed unsafe class KeptMemory : IDisposable
{
    // From malloc.h. glibc does not tell what is set; without the environment's variables it is the defaults.
    private const int TrimThreshold = -1;
    private const int TopPad = -2;
    private const int MmapMax = -4;
    private const int NeverTrim = -1;
    private const int DefaultTrimThreshold = 128 * 1024;
    private const int DefaultTopPad = 128 * 1024;
    private const int DefaultMmapMax = 65536;

    /// <summary>
    /// The size of the heaps that glibc has for threads other than the first: a heap that is empty goes back unless as much is to be held
    /// ready.
    /// </summary>
    private const int ThreadHeap = 64 * 1024 * 1024;

    private static readonly Lock s_turn = new();
    private static readonly delegate* unmanaged<int, int, int> s_mallopt = (delegate* unmanaged<int, int, int>)Find("mallopt");
    private static readonly delegate* unmanaged<nuint, int> s_trim = (delegate* unmanaged<nuint, int>)Find("malloc_trim");
    private static readonly bool s_isSetByUser = IsSetByUser();
    private static int s_users;

    private bool _disposed;

    public KeptMemory() => Count(1);

    /// <summary>Whether this process allocates through glibc, as glibc works by itself.</summary>
    public static bool IsSupported => s_mallopt is not null && s_trim is not null && !s_isSetByUser;

    /// <summary>
    /// Gives what was freed back to the operating system, unless a training keeps it, whose end does that: for whoever let go of a model.
    /// glibc by itself holds on to what other threads than the first had, and to every block that lies below one that is in use.
    /// </summary>
    public static void GiveBack()
    {
        lock (s_turn)
        {
            if (IsSupported && s_users == 0)
            {
                s_trim(0);
            }
        }
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            Count(-1);
        }
    }

    private static void Count(int change)
    {
        lock (s_turn)
        {
            bool wasKept = s_users > 0;
            s_users += change;
            if (!IsSupported || wasKept == s_users > 0)
            {
                return;
            }

            s_mallopt(MmapMax, wasKept ? DefaultMmapMax : 0);
            s_mallopt(TopPad, wasKept ? DefaultTopPad : ThreadHeap);
            s_mallopt(TrimThreshold, wasKept ? DefaultTrimThreshold : NeverTrim);
            if (wasKept)
            {
                s_trim(0);
            }
        }
    }

    /// <summary>The variables that glibc reads when a process starts.</summary>
    private static bool IsSetByUser()
    {
        string[] variables = ["MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_"];
        return variables.Any(name => Environment.GetEnvironmentVariable(name) is not null)
            || Environment.GetEnvironmentVariable("GLIBC_TUNABLES")?.Contains("glibc.malloc.", StringComparison.Ordinal) == true;
    }

    private static nint Find(string name) =>
        OperatingSystem.IsLinux()
            && NativeLibrary.TryLoad("libc.so.6", out nint library)
            && NativeLibrary.TryGetExport(library, name, out nint function) ? function : 0;
}
