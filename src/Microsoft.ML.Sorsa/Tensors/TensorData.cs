using System.Numerics;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>A tensor's values where they lie in memory, for what is computed on a processor without libtorch.</summary>
internal static unsafe partial class TensorData
{
    /// <summary>Whether its values are read and written here, without gaps.</summary>
    public static bool IsReadable(Tensor tensor) =>
        IsReadable(tensor.dtype, tensor.device_type == DeviceType.CPU) && tensor.is_contiguous();

    /// <summary>Whether those of a type are.</summary>
    public static bool IsReadable(ScalarType type, bool onCpu) => onCpu && type is (ScalarType.Float32 or ScalarType.BFloat16);

    /// <summary>A tensor's shape. Tensor.shape goes through a callback, which takes longer than what is computed here.</summary>
    public static long[] Shape(Tensor tensor)
    {
        var shape = new long[tensor.dim()];
        for (int i = 0; i < shape.Length; i++)
        {
            shape[i] = tensor.size(i);
        }

        return shape;
    }

    /// <summary>A tensor of its shape and type, of any values, which belongs to the dispose scope that is open; and its rows.</summary>
    public static (Tensor Values, int Width, long Rows) EmptyLike(Tensor x)
    {
        long[] shape = Shape(x);
        return (empty(shape, x.dtype), (int)shape[^1], shape[^1] == 0 ? 0 : x.numel() / shape[^1]);
    }

    /// <summary>Where a tensor's values begin. Tensor.bytes is a span, which ends at 2 GB: large vocabularies' heads are larger.</summary>
    public static nint Address(Tensor tensor) => Data(tensor.Handle);

    /// <summary>Values as float32.</summary>
    public static void Read<TValues>(byte* from, Span<float> to)
        where TValues : IStoredValues
    {
        int i = 0;
        for (; i + (2 * Vector<float>.Count) <= to.Length; i += 2 * Vector<float>.Count)
        {
            (Vector<float> first, Vector<float> second) = TValues.Load(from + (i * TValues.Size));
            first.CopyTo(to[i..]);
            second.CopyTo(to[(i + Vector<float>.Count)..]);
        }

        for (; i < to.Length; i++)
        {
            to[i] = TValues.Get(from + (i * TValues.Size));
        }
    }

    /// <summary>Rounds float32 to the type.</summary>
    public static void Write<TValues>(ReadOnlySpan<float> from, byte* to)
        where TValues : IStoredValues
    {
        int i = 0;
        for (; i + (2 * Vector<float>.Count) <= from.Length; i += 2 * Vector<float>.Count)
        {
            TValues.Store(to + (i * TValues.Size), new Vector<float>(from[i..]), new Vector<float>(from[(i + Vector<float>.Count)..]));
        }

        for (; i < from.Length; i++)
        {
            TValues.Set(to + (i * TValues.Size), from[i]);
        }
    }

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    private static partial nint Data(nint handle);
}
