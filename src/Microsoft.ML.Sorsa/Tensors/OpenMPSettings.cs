using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.InteropServices.Marshalling;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// How many threads libtorch computes with on Linux, and how they wait for each other, where the user's environment does not say it.
/// libgomp reads both from the process's environment once, when libtorch is loaded; so they are set before anything of this library
/// runs, and come too late where libtorch is loaded already. On other systems nothing is set.
/// </summary>
internal static unsafe class OpenMPSettings
{
    /// <summary>
    /// How often a thread that waits looks again before it sleeps. libgomp's own 300,000 take milliseconds, at thousands of barriers a
    /// step, while the thread that is waited for may be off its processor. docs/decisions/threads.md has the measurements.
    /// </summary>
    public const int SpinCount = 500;

    /// <summary>The name of "processors that are online" for sysconf, from Linux's unistd.h.</summary>
    private const int ProcessorsOnline = 84;

    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255",
        Justification = "libgomp reads its settings when it is loaded: this must come before any use of TorchSharp.")]
    internal static void Apply()
    {
        if (!OperatingSystem.IsLinux() || !NativeLibrary.TryLoad("libc.so.6", out nint libc))
        {
            return;
        }

        // The environment that .NET sets is a copy of its own, which native code does not see.
        var set = (delegate* unmanaged<byte*, byte*, int, int>)NativeLibrary.GetExport(libc, "setenv");
        var count = (delegate* unmanaged<int, nint>)NativeLibrary.GetExport(libc, "sysconf");
        if (IsUnset("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"))
        {
            Set("GOMP_SPINCOUNT", SpinCount);
        }

        // A container's share of the processors is known to .NET, not to libtorch.
        if (Environment.ProcessorCount < count(ProcessorsOnline) && IsUnset("OMP_NUM_THREADS", "MKL_NUM_THREADS"))
        {
            Set("OMP_NUM_THREADS", Environment.ProcessorCount);
        }

        void Set(string name, int value)
        {
            byte* nativeName = Utf8StringMarshaller.ConvertToUnmanaged(name);
            byte* nativeValue = Utf8StringMarshaller.ConvertToUnmanaged(value.ToString(CultureInfo.InvariantCulture));
            _ = set(nativeName, nativeValue, 0);
            Utf8StringMarshaller.Free(nativeName);
            Utf8StringMarshaller.Free(nativeValue);
        }
    }

    private static bool IsUnset(params string[] names) => names.All(name => Environment.GetEnvironmentVariable(name) is null);
}
