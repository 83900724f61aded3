using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// The used memory of a card, of all processes on it, as nvidia-smi shows it: read from NVML 50 times a second. TorchSharp has no
/// statistics of libtorch's allocator, which keeps what it once had: the figure of a row holds for the rows before it, too.
/// </summary>
internal sealed unsafe class CardMemory : IDisposable
{
    private const string Library = "libnvidia-ml.so.1";
    private const double MB = 1048576;

    private readonly delegate* unmanaged<nint, MemoryInfo*, int> _read;
    private readonly nint _card;
    private readonly ManualResetEventSlim _end = new();
    private readonly Thread? _thread;
    private ulong _peak;

    /// <summary>Watches the card of a device; the CPU has none.</summary>
    public CardMemory(Device device)
    {
        if (device.type != DeviceType.CUDA || !NativeLibrary.TryLoad(Library, out nint library)
            || !NativeLibrary.TryGetExport(library, "nvmlInit_v2", out nint start)
            || !NativeLibrary.TryGetExport(library, "nvmlDeviceGetHandleByIndex_v2", out nint open)
            || !NativeLibrary.TryGetExport(library, "nvmlDeviceGetMemoryInfo", out nint read))
        {
            return;
        }

        _read = (delegate* unmanaged<nint, MemoryInfo*, int>)read;
        nint card;
        if (((delegate* unmanaged<int>)start)() == 0
            && ((delegate* unmanaged<uint, nint*, int>)open)((uint)device.index, &card) == 0)
        {
            _card = card;
            _thread = new Thread(Follow) { IsBackground = true };
            _thread.Start();
        }
    }

    /// <summary>The most that was used since <see cref="Reset"/>, in MB; −1 where it cannot be read.</summary>
    public double PeakMB => _thread is null ? -1 : Math.Max(Volatile.Read(ref _peak), Used()) / MB;

    public void Reset() => Volatile.Write(ref _peak, 0);

    public void Dispose()
    {
        _end.Set();
        _thread?.Join();
        _end.Dispose();
    }

    private void Follow()
    {
        do
        {
            Volatile.Write(ref _peak, Math.Max(Volatile.Read(ref _peak), Used()));
        }
        while (!_end.Wait(20));
    }

    private ulong Used()
    {
        MemoryInfo info;
        return _read(_card, &info) == 0 ? info.Used : 0;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct MemoryInfo
    {
        public ulong Total, Free, Used;
    }
}
