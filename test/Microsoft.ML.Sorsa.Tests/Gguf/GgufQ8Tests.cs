using System.Buffers.Binary;
using Microsoft.ML.Sorsa.Gguf;

namespace Microsoft.ML.Sorsa.Tests.Gguf;

/// <summary>Q8_0 to the bit, against a loop over the definition in float64 where that decides.</summary>
[TestClass]
[TestCategory("Gguf")]
public sealed class GgufQ8Tests
{
    [TestMethod]
    [DataRow(1f)]
    [DataRow(1e-3f)]
    [DataRow(3e4f)]
    public void BlocksAreThoseOfTheDefinition(float size)
    {
        var random = new Random(7);
        float[] values = [.. Enumerable.Range(0, 32 * 20_000).Select(_ => (float)(random.NextDouble() - 0.5) * size)];

        Compare(values);
    }

    /// <summary>With a largest of 127 the scale is 1: the values are rounded themselves.</summary>
    [TestMethod]
    public void HalvesAreRoundedAwayFromZero()
    {
        float[] values = [127, 0.5f, -0.5f, 1.5f, -1.5f, 2.5f, -2.5f, 0.49999997f, -0.49999997f, 126.5f, -126.5f, -127, .. new float[20]];

        byte[] bytes = Quantized(values);

        CollectionAssert.AreEqual(
            new sbyte[] { 127, 1, -1, 2, -2, 3, -3, 0, 0, 127, -127, -127 }, bytes.AsSpan(2, 12).ToArray().Select(b => (sbyte)b).ToArray());
        Compare(values);
    }

    [TestMethod]
    public void ZerosStayZero()
    {
        CollectionAssert.AreEqual(new byte[34], Quantized(new float[32]));

        // So small that the scale is zero as float16, and one over it infinite.
        float[] tiny = [float.Epsilon, -float.Epsilon, .. new float[30]];
        CollectionAssert.AreEqual(new byte[34], Quantized(tiny));
    }

    [TestMethod]
    public void AModelsMatrixIsThatOfTheDefinition()
    {
        using SorsaTransformer model = GgufModels.Bundled();
        GgufContent file = GgufModels.Write(model, GgufType.Q8_0);

        CollectionAssert.AreEqual(
            Expected(GgufModels.Weight(model, "model.layers.2.mlp.down_proj.weight")), file.Bytes("blk.2.ffn_down.weight").ToArray());
    }

    private static void Compare(float[] values) => CollectionAssert.AreEqual(Expected(values), Quantized(values));

    private static byte[] Quantized(float[] values)
    {
        var bytes = new byte[values.Length / 32 * 34];
        Q8Blocks.Quantize(values, bytes);
        return bytes;
    }

    private static byte[] Expected(float[] values)
    {
        var bytes = new List<byte>();
        Span<byte> scaleBytes = stackalloc byte[2];
        foreach (float[] block in values.Chunk(32))
        {
            float scale = block.Max(Math.Abs) / 127f, inverse = scale == 0 ? 0 : 1f / scale;
            BinaryPrimitives.WriteHalfLittleEndian(scaleBytes, (Half)scale);
            bytes.AddRange(scaleBytes);
            foreach (float value in block)
            {
                // A product of two float32 is one of float64 that is rounded once.
                float product = (float)((double)value * inverse);
                bytes.Add((byte)(sbyte)Math.Round((double)product, MidpointRounding.AwayFromZero));
            }
        }

        return [.. bytes];
    }
}
