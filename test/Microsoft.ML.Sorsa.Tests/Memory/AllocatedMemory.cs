using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.Sorsa.Tests.Memory;

/// <summary>
/// The bytes of all tensors that were allocated on the CPU since this was made and are still alive, and the most that there ever were,
/// exact to the byte, whichever thread allocates. It stands in the table of virtual functions of libtorch's own allocator
/// (c10::GetCPUAllocator): each allocation goes on to that, and what comes back tells this class when it is freed. There is one at a time.
/// </summary>
/// <remarks>
/// Other ways were worse: FLAGS_caffe2_report_cpu_memory_usage keeps the sum of now alone (the peak would have to be read out of the log, a
/// line for each allocation); mallinfo2 and the resident memory count what glibc keeps, are sampled and miss the peaks. Files that are
/// mapped are no allocations, and MKL's own buffers are not counted.
/// </remarks>
internal sealed unsafe class AllocatedMemory : IDisposable
{
    /// <summary>
    /// c10::Allocator's table: two destructors, allocate, is_simple_data_ptr, raw_deleter, copy_data; type information in front of it.
    /// </summary>
    private const int AllocateSlot = 2, DeleterSlot = 4, Slots = 8, SlotsBefore = 2;

    private static readonly ConcurrentDictionary<nint, long> s_blocks = new();

    private static delegate* unmanaged<DataPointer*, void*, nuint, void*> s_allocate;
    private static delegate* unmanaged<nint, void> s_free;
    private static long s_now;
    private static long s_peak;

    private readonly nint* _allocator;
    private readonly nint* _table;
    private readonly nint* _ownTable;

    public AllocatedMemory()
    {
        torch.InitializeDeviceType(DeviceType.CPU);
        nint library = NativeLibrary.Load(LibraryPath());
        var get = (delegate* unmanaged<nint*>)NativeLibrary.GetExport(library, "_ZN3c1015GetCPUAllocatorEv");
        _allocator = get();
        _table = (nint*)*_allocator;
        s_allocate = (delegate* unmanaged<DataPointer*, void*, nuint, void*>)_table[AllocateSlot];
        s_free = ((delegate* unmanaged<void*, delegate* unmanaged<nint, void>>)_table[DeleterSlot])(_allocator);
        nint* copy = (nint*)NativeMemory.Alloc((SlotsBefore + Slots) * (nuint)sizeof(nint));
        for (int i = 0; i < SlotsBefore + Slots; i++)
        {
            copy[i] = _table[i - SlotsBefore];
        }

        _ownTable = copy + SlotsBefore;
        _ownTable[AllocateSlot] = (nint)(delegate* unmanaged<DataPointer*, void*, nuint, void*>)&Allocate;
        _ownTable[DeleterSlot] = (nint)(delegate* unmanaged<void*, nint>)&Deleter;
        s_blocks.Clear();
        (s_now, s_peak) = (0, 0);
        *_allocator = (nint)_ownTable;
    }

    /// <summary>Bytes that are alive.</summary>
    public static long Now => Interlocked.Read(ref s_now);

    /// <summary>The most since the start, or since <see cref="ForgetPeak"/>.</summary>
    public static long Peak => Interlocked.Read(ref s_peak);

    public static void ForgetPeak() => Interlocked.Exchange(ref s_peak, Now);

    /// <summary>The allocator is as it was. What is still alive tells this class when it is freed, which does no harm.</summary>
    public void Dispose()
    {
        *_allocator = (nint)_table;
        NativeMemory.Free(_ownTable - SlotsBefore);
    }

    private static string LibraryPath() => File.ReadLines("/proc/self/maps")
        .Select(line => line[(line.LastIndexOf(' ') + 1)..])
        .First(path => path.EndsWith("/libc10.so", StringComparison.Ordinal));

    /// <summary>A c10::DataPtr is not trivial: whoever returns one writes it where the first, hidden argument points.</summary>
    [UnmanagedCallersOnly]
    private static void* Allocate(DataPointer* result, void* allocator, nuint bytes)
    {
        s_allocate(result, allocator, bytes);
        if (result->Context != 0)
        {
            if (result->Free != (nint)s_free)
            {
                Environment.FailFast("A c10::DataPtr is laid out in another way than this class knows.");
            }

            s_blocks[result->Context] = (long)bytes;
            result->Free = (nint)(delegate* unmanaged<nint, void>)&Free;
            long now = Interlocked.Add(ref s_now, (long)bytes);
            long peak;
            while (now > (peak = Interlocked.Read(ref s_peak)) && Interlocked.CompareExchange(ref s_peak, now, peak) != peak)
            {
            }
        }

        return result;
    }

    /// <summary>For those who take a bare pointer and free it themselves.</summary>
    [UnmanagedCallersOnly]
    private static nint Deleter(void* allocator) => (nint)(delegate* unmanaged<nint, void>)&Free;

    [UnmanagedCallersOnly]
    private static void Free(nint block)
    {
        if (s_blocks.TryRemove(block, out long bytes))
        {
            Interlocked.Add(ref s_now, -bytes);
        }

        s_free(block);
    }

    /// <summary>c10::DataPtr as GCC lays it out: data, the unique pointer's deleter and its context, the device.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct DataPointer
    {
        public nint Data;
        public nint Free;
        public nint Context;
        public nint Device;
    }
}
