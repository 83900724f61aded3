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

    /// <summary>What lies in the middle between two of them: a value's code is the number of those below it.</summary>
    public static ReadOnlySpan<float> ValueMiddles => s_middles;

    /// <summary>The 256 values of a magnitude's code, ascending.</summary>
    public static ReadOnlySpan<float> ScaleValues => s_scaleValues;

    /// <summary>What lies in the middle between two of these.</summary>
    public static ReadOnlySpan<float> ScaleMiddles => s_scaleMiddles;

    /// <summary>The values of a byte's two codes, the high nibble's first: [256 × 2].</summary>
    public static float[] PairTable() =>
        [.. Enumerable.Range(0, 256).SelectMany(pair => new[] { s_values[pair >> 4], s_values[pair & 15] })];

    /// <summary>
    /// The values of packed codes, times their blocks' magnitudes, on the processor: from a table of 16 values that each block makes, in
    /// the type that they are asked for. The same in tensor operations takes longer.
    /// </summary>
    public static void Dequantize<T, TRounding>(ReadOnlySpan<byte> packed, ReadOnlySpan<float> scales, Span<T> values)
        where T : unmanaged
        where TRounding : IRounding<T>
    {
        Span<T> scaled = stackalloc T[s_values.Length];
        for (int block = 0; block < scales.Length; block++)
        {
            for (int code = 0; code < scaled.Length; code++)
            {
                scaled[code] = TRounding.Round(s_values[code] * scales[block]);
            }

            Span<T> part = values[(block * BlockSize)..Math.Min(values.Length, (block + 1) * BlockSize)];
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

/// <summary>How a float32 becomes a number of another type.</summary>
internal interface IRounding<T>
{
    static abstract T Round(float value);
}

/// <summary>It stays what it is.</summary>
internal readonly struct ToFloat32 : IRounding<float>
{
    public static float Round(float value) => value;
}

/// <summary>To the nearest bfloat16, of two that are as near to the even one, as libtorch does; in its bits.</summary>
internal readonly struct ToBFloat16 : IRounding<ushort>
{
    public static ushort Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
}
