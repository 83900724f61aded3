namespace Microsoft.ML.Sorsa.Adapters.Quantization;

/// <summary>
/// 4-bit NormalFloat with double quantisation (Dettmers et al., arXiv 2305.14314), as bitsandbytes stores it. Each block of 64 values is
/// divided by its largest magnitude, and every value goes to the nearest of 16 codes, two to a byte. The magnitudes, less their mean, are
/// kept in 8 bits by blocks of 256.
/// </summary>
internal static class Nf4Code
{
    public const int BlockSize = 64;
    public const int ScaleBlockSize = 256;

    private const int ZeroCode = 7;

    /// <summary>Quantiles of a normal distribution, with an exact zero; the paper's appendix E.</summary>
    private static readonly float[] s_values =
    [
        -1f, -0.6961928f, -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f, -0.091050036f, 0f,
        0.0795803f, 0.1609302f, 0.2461123f, 0.33791524f, 0.44070983f, 0.562617f, 0.72295684f, 1f,
    ];

    private static readonly float[] s_middles = Middles(s_values);
    private static readonly float[] s_scaleValues = DynamicMap();
    private static readonly float[] s_scaleMiddles = Middles(s_scaleValues);

    /// <summary>The 16 values, ascending.</summary>
    public static ReadOnlySpan<float> Values => s_values;

    /// <summary>The 256 values of a magnitude's code, ascending.</summary>
    public static ReadOnlySpan<float> ScaleValues => s_scaleValues;

    /// <summary>The values of a byte's two codes, the high nibble's first: [256 × 2].</summary>
    public static float[] PairTable() =>
        [.. Enumerable.Range(0, 256).SelectMany(pair => new[] { s_values[pair >> 4], s_values[pair & 15] })];

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

    /// <summary>The values of packed codes, times their blocks' magnitudes.</summary>
    public static void Dequantize(ReadOnlySpan<byte> packed, ReadOnlySpan<float> scales, Span<float> values)
    {
        // A byte's two values at once, from a table that each block scales: many times as fast as the same in tensor operations.
        Span<float> scaled = stackalloc float[s_values.Length];
        for (int block = 0; block < scales.Length; block++)
        {
            for (int code = 0; code < scaled.Length; code++)
            {
                scaled[code] = s_values[code] * scales[block];
            }

            Span<float> part = values[(block * BlockSize)..Math.Min(values.Length, (block + 1) * BlockSize)];
            ReadOnlySpan<byte> pairs = packed.Slice(block * BlockSize / 2, (part.Length + 1) / 2);
            for (int i = 0; i < part.Length / 2; i++)
            {
                part[2 * i] = scaled[pairs[i] >> 4];
                part[(2 * i) + 1] = scaled[pairs[i] & 15];
            }

            if (part.Length % 2 == 1)
            {
                part[^1] = scaled[pairs[^1] >> 4];
            }
        }
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

    private static float[] Middles(float[] values) => [.. values.Zip(values.Skip(1), (lower, upper) => (lower + upper) / 2)];

    /// <summary>bitsandbytes' dynamic 8-bit map: a sign, and in each of seven decades twice as many steps as in the one below.</summary>
    private static float[] DynamicMap()
    {
        const int Decades = 7;
        var map = new List<float> { 0, 1 };
        for (int decade = 0; decade < Decades; decade++)
        {
            int steps = 1 << decade;
            float scale = (float)Math.Pow(10, decade - (Decades - 1));
            for (int i = 0; i < steps; i++)
            {
                float value = scale * ((Bound(i, steps) + Bound(i + 1, steps)) / 2);
                map.Add(value);
                map.Add(-value);
            }
        }

        map.Sort();
        return [.. map];

        // From 0.1 to 1 in float32, from both ends and rounded once, as torch.linspace does it: the map is the peers' to the last bit.
        static float Bound(int i, int steps)
        {
            float step = (1f - 0.1f) / steps;
            return i < (steps + 1) / 2 ? MathF.FusedMultiplyAdd(step, i, 0.1f) : MathF.FusedMultiplyAdd(-step, steps - i, 1f);
        }
    }
}
