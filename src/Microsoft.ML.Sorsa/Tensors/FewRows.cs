using System.Numerics;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tensors;

/// <summary>
/// A decoding step on a CPU: a token each of few texts, and no gradient. Asking libtorch for an operation takes longer there than the
/// operation, and its products wait for memory. What is done with such rows is computed here, in float32, and rounded where libtorch
/// rounds. A row's values do not depend on how many others there are.
/// </summary>
internal static unsafe partial class FewRows
{
    /// <summary>With more of them a step is bound by arithmetic, and libtorch is faster.</summary>
    public const int Most = 16;

    /// <summary>Whether these are such rows: there is no gradient of them, and a row is not many tokens of one text.</summary>
    /// <param name="x">[texts, n] or [texts, 1, ...].</param>
    public static bool Are(Tensor x) => AreOfFewTexts(x) && (x.dim() < 3 || x.size(1) == 1);

    /// <summary>Whether there are few texts and no gradient, on a CPU, in a type that is computed with here.</summary>
    /// <param name="x">[texts, ...].</param>
    public static bool AreOfFewTexts(Tensor x) =>
        // First, since every operation of a training comes by here.
        !is_grad_enabled()
        && x.device_type == DeviceType.CPU && x.dtype is (ScalarType.Float32 or ScalarType.BFloat16)
        && x.dim() > 0 && x.size(0) <= Most;

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
