using System.Buffers;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>
/// The bytes of a tensor in a GGUF file, some rows after the other: never more than a few are converted at a time, whatever the tensor's
/// size. llama.cpp turns the neighbours (x_2i, x_2i+1) where transformers turns (x_i, x_i+d/2): of a head of queries or keys, row i of the
/// first half becomes row 2i and row i of the second half row 2i+1.
/// </summary>
internal static class TensorBytes
{
    /// <summary>Converted at a time: 16 MB as float32.</summary>
    private const long ChunkValues = 4 << 20;

    /// <summary>The largest size of a value whose block has a scale that is a float16.</summary>
    private const double LargestInBlock = 127.0 * 65504;

    /// <summary>Writes the values in the tensor's type.</summary>
    /// <exception cref="ArithmeticException">A value is not finite, and the type is F32: see <see cref="VerifyRange"/>.</exception>
    public static void Write(GgufTensor tensor, Stream stream)
    {
        using var noGrad = no_grad();
        long rows = tensor.Values.shape[0], width = tensor.Values.numel() / rows, unit = tensor.HeadDim ?? 1;
        long step = Math.Max(ChunkValues / width / unit, 1) * unit;
        for (long start = 0; start < rows; start += step)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor chunk = tensor.Values.detach().narrow(0, start, Math.Min(step, rows - start));
            if (tensor.Type == GgufType.F32 && !TensorValues.AreFinite(chunk))
            {
                throw NotFinite(tensor);
            }

            Write(tensor.HeadDim is int headDim ? Paired(chunk, headDim) : chunk, tensor.Type, stream);
        }
    }

    /// <summary>The rows of heads [n·d, ...] as llama.cpp turns them.</summary>
    public static Tensor Paired(Tensor rows, int headDim)
    {
        long[] shape = rows.shape;
        return rows.reshape([shape[0] / headDim, 2, headDim / 2, .. shape[1..]]).transpose(1, 2).reshape(shape);
    }

    /// <summary>
    /// Whether the values are in the type's range. F32 has no bound for weights, and its values are looked at while they are written: they
    /// need no pass of their own.
    /// </summary>
    /// <exception cref="ArithmeticException">A value is not finite, or not in that type; names the tensor.</exception>
    public static void VerifyRange(GgufTensor tensor)
    {
        double largest = tensor.Type switch
        {
            GgufType.F32 => double.PositiveInfinity,
            GgufType.F16 => (double)Half.MaxValue,
            GgufType.BF16 => 3.3895313892515355e38,
            _ => LargestInBlock,
        };
        if (double.IsPositiveInfinity(largest) || tensor.Values.numel() == 0)
        {
            return;
        }

        using DisposeScope scope = NewDisposeScope();
        using var noGrad = no_grad();
        (Tensor least, Tensor most) = tensor.Values.detach().aminmax();
        Tensor ends = stack([least, most]);
        if (!TensorValues.AreFinite(ends))
        {
            throw NotFinite(tensor);
        }

        double size = ends.abs().max().to(ScalarType.Float64).item<double>();
        if (size > largest)
        {
            throw new ArithmeticException(FormattableString.Invariant(
                $"The weight '{tensor.Name}' holds values up to {size:G4} in size, and {tensor.Type} holds them up to {largest:G4}. ")
                + $"Choose GgufType.{nameof(GgufType.F32)}.");
        }
    }

    private static ArithmeticException NotFinite(GgufTensor tensor) => new(
        $"The weight '{tensor.Name}' holds values that are not finite. Where they come from the model's files: fetch these again.");

    private static void Write(Tensor chunk, GgufType type, Stream stream)
    {
        ScalarType converted = type switch
        {
            GgufType.F32 or GgufType.Q8_0 => ScalarType.Float32,
            GgufType.F16 => ScalarType.Float16,
            GgufType.BF16 => ScalarType.BFloat16,
            _ => throw new UnreachableException(),
        };
        ReadOnlySpan<byte> bytes = chunk.to(converted).cpu().contiguous().bytes;
        if (type != GgufType.Q8_0)
        {
            stream.Write(bytes);
            return;
        }

        ReadOnlySpan<float> values = MemoryMarshal.Cast<byte, float>(bytes);
        int size = (int)GgufTensor.BytesOf(values.Length, type);
        byte[] blocks = ArrayPool<byte>.Shared.Rent(size);
        Q8Blocks.Quantize(values, blocks.AsSpan(0, size));
        stream.Write(blocks, 0, size);
        ArrayPool<byte>.Shared.Return(blocks);
    }
}
