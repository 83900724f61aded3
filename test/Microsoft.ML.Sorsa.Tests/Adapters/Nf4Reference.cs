using Microsoft.ML.Sorsa.Adapters.Quantization;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>NF4 value by value, as version 0.1 had it: what the library does in whole-tensor operations must come out the same.</summary>
internal static class Nf4Reference
{
    private const int BlockSize = Nf4Code.BlockSize, ScaleBlockSize = Nf4Code.ScaleBlockSize, ZeroCode = 7;

    private static readonly float[] s_middles = Middles(Nf4Code.Values), s_scaleMiddles = Middles(Nf4Code.ScaleValues);

    /// <summary>
    /// Codes of all values, two to a byte, and each block's largest magnitude. An odd count leaves the last nibble at the code of 0.
    /// </summary>
    public static (byte[] Packed, float[] Scales) Quantize(ReadOnlySpan<float> values)
    {
        byte[] packed = new byte[(values.Length + 1) / 2];
        float[] scales = new float[(values.Length + BlockSize - 1) / BlockSize];
        for (int block = 0; block < scales.Length; block++)
        {
            ReadOnlySpan<float> part = values[(block * BlockSize)..Math.Min(values.Length, (block + 1) * BlockSize)];
            float largest = 0;
            foreach (float value in part)
            {
                largest = Math.Max(largest, Math.Abs(value));
            }

            scales[block] = largest;
            float inverse = largest == 0 ? 0 : 1 / largest;
            for (int i = 0; i < part.Length; i += 2)
            {
                int low = i + 1 < part.Length ? Nearest(part[i + 1] * inverse, s_middles) : ZeroCode;
                packed[((block * BlockSize) + i) / 2] = (byte)((Nearest(part[i] * inverse, s_middles) << 4) | low);
            }
        }

        return (packed, scales);
    }

    /// <summary>The 8-bit codes of magnitudes, what their blocks are scaled with, and their mean.</summary>
    public static (byte[] Codes, float[] Scales, float Offset) QuantizeScales(ReadOnlySpan<float> magnitudes)
    {
        double sum = 0;
        foreach (float magnitude in magnitudes)
        {
            sum += magnitude;
        }

        float offset = (float)(sum / magnitudes.Length);
        byte[] codes = new byte[magnitudes.Length];
        float[] scales = new float[(magnitudes.Length + ScaleBlockSize - 1) / ScaleBlockSize];
        for (int block = 0; block < scales.Length; block++)
        {
            (int from, int to) = (block * ScaleBlockSize, Math.Min(magnitudes.Length, (block + 1) * ScaleBlockSize));
            for (int i = from; i < to; i++)
            {
                scales[block] = Math.Max(scales[block], Math.Abs(magnitudes[i] - offset));
            }

            float inverse = scales[block] == 0 ? 0 : 1 / scales[block];
            for (int i = from; i < to; i++)
            {
                codes[i] = (byte)Nearest(OnGrid((magnitudes[i] - offset) * inverse), s_scaleMiddles);
            }
        }

        return (codes, scales, offset);

        // bitsandbytes finds these codes through a table of 65,536 even steps over [-1, 1]; without it two codes in a thousand differ
        // from its own.
        static float OnGrid(float value)
        {
            const float Last = 65535;
            return (((int)(((value + 1) * 0.5f * Last) + 0.5f)) / Last * 2) - 1;
        }
    }

    /// <summary>How many middles lie below the value: the index of the nearest of the values that they lie between.</summary>
    private static int Nearest(float value, float[] middles)
    {
        int low = 0, high = middles.Length;
        while (low < high)
        {
            int middle = (low + high) >> 1;
            (low, high) = value > middles[middle] ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private static float[] Middles(ReadOnlySpan<float> values)
    {
        float[] middles = new float[values.Length - 1];
        for (int i = 0; i < middles.Length; i++)
        {
            middles[i] = (values[i] + values[i + 1]) / 2;
        }

        return middles;
    }
}
