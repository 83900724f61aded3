using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>
/// A file mapped read-only into memory, whose bytes become tensors without a copy: a model takes no more memory than the pages
/// that are looked at. The map stays until the last of its tensors is gone. Such a tensor must never be written to in place.
/// </summary>
/// <remarks>TorchSharp's own factories over <see cref="Memory{T}"/> copy, so this calls the native constructor they stand on.</remarks>
internal sealed unsafe class MappedFile : IDisposable
{
    /// <summary>Keeps maps (and with them the delegate that native code holds) alive while a tensor stands on them.</summary>
    private static readonly HashSet<MappedFile> InUse = [];

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly Deleter _release;
    private readonly byte* _start;
    private int _users = 1;

    public MappedFile(string path)
    {
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        _release = _ => Release();
        lock (InUse)
        {
            InUse.Add(this);
        }

        // The native library is loaded by the first call of TorchSharp's, not by ours.
        torch.InitializeDeviceType(DeviceType.CPU);
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate void Deleter(nint data);

    /// <summary>A tensor over the file's bytes from <paramref name="offset"/> on; the caller owns it.</summary>
    public Tensor Tensor(long offset, ScalarType type, ReadOnlySpan<long> shape)
    {
        lock (InUse)
        {
            _users++;
        }

        fixed (long* dimensions = shape)
        {
            nint handle = THSTensor_new(
                (nint)(_start + offset), _release, (nint)dimensions, shape.Length, (sbyte)type, (sbyte)type, (int)DeviceType.CPU, 0, 0);
            if (handle == 0)
            {
                Release();
                torch.CheckForErrors();
            }

            return torch.Tensor.UnsafeCreateTensor(handle);
        }
    }

    /// <summary>No more tensors will be asked for; the map goes with the last of those that were.</summary>
    public void Dispose() => Release();

    private void Release()
    {
        lock (InUse)
        {
            if (--_users > 0)
            {
                return;
            }

            InUse.Remove(this);
        }

        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }

    [DllImport("LibTorchSharp")]
    private static extern nint THSTensor_new(
        nint data, Deleter deleter, nint dimensions, int count, sbyte type, sbyte dtype, int deviceType, int deviceIndex,
        byte requiresGrad);
}
