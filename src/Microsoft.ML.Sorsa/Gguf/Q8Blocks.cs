using System.Buffers.Binary;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Sorsa.Gguf;

/// <summary>
/// ggml's Q8_0: of each 32 values the largest size, divided by 127, is the scale d, rounded to float16; a value x becomes x/d, by the
/// float32 d, rounded to the nearest integer, halves away from zero.
/// </summary>
internal static class Q8Blocks
{
    private const int Lanes = 8;

    /// <summary>Below this share of a block's work a thread costs more than it brings.</summary>
    private const int BlocksOfAThread = 1 << 12;

    /// <summary>Quantises on all cores.</summary>
    /// <param name="values">Finite; a multiple of 32 of them.</param>
    /// <param name="bytes">34 bytes for each 32 values.</param>
    public static unsafe void Quantize(ReadOnlySpan<float> values, Span<byte> bytes)
    {
        int blocks = values.Length / GgufTensor.BlockValues;
        fixed (float* from = values)
        fixed (byte* to = bytes)
        {
            nint source = (nint)from, target = (nint)to;
            int parts = (blocks + BlocksOfAThread - 1) / BlocksOfAThread;
            Parallel.For(0, parts, part =>
            {
                int last = Math.Min((part + 1) * BlocksOfAThread, blocks);
                for (int block = part * BlocksOfAThread; block < last; block++)
                {
                    QuantizeBlock(
                        new ReadOnlySpan<float>((float*)source + ((long)block * GgufTensor.BlockValues), GgufTensor.BlockValues),
                        new Span<byte>((byte*)target + ((long)block * GgufTensor.BlockBytes), GgufTensor.BlockBytes));
                }
            });
        }
    }

    private static void QuantizeBlock(ReadOnlySpan<float> values, Span<byte> bytes)
    {
        Vector256<float> a = Vector256.Create(values), b = Vector256.Create(values[Lanes..]),
            c = Vector256.Create(values[(2 * Lanes)..]), d = Vector256.Create(values[(3 * Lanes)..]);
        Vector256<float> most = Vector256.Max(
            Vector256.Max(Vector256.Abs(a), Vector256.Abs(b)), Vector256.Max(Vector256.Abs(c), Vector256.Abs(d)));
        Vector128<float> half = Vector128.Max(most.GetLower(), most.GetUpper());
        float largest = Math.Max(Math.Max(half[0], half[1]), Math.Max(half[2], half[3]));
        float scale = largest / 127, inverse = 1 / scale;

        // Where the scale is zero, or so small that float16 has zero for it, the values are, too.
        Vector256<float> factor = Vector256.Create(float.IsFinite(inverse) ? inverse : 0);
        BinaryPrimitives.WriteHalfLittleEndian(bytes, (Half)scale);
        Vector256.Narrow(
            Vector256.Narrow(Round(a * factor), Round(b * factor)),
            Vector256.Narrow(Round(c * factor), Round(d * factor))).AsByte().CopyTo(bytes[2..]);
    }

    /// <summary>To the nearest integer, halves away from zero.</summary>
    private static Vector256<int> Round(Vector256<float> x)
    {
        Vector256<float> whole = Vector256.Truncate(x);
        Vector256<float> away = Vector256.GreaterThanOrEqual(Vector256.Abs(x - whole), Vector256.Create(0.5f));
        Vector256<float> one = Vector256.ConditionalSelect(
            Vector256.LessThan(x, Vector256<float>.Zero), Vector256.Create(-1f), Vector256.Create(1f));
        return Vector256.ConvertToInt32(whole + Vector256.BitwiseAnd(away, one));
    }
}
