using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Generation;

/// <summary>
/// What a decoding step computes without libtorch is what libtorch computes in float64, within the rounding of the type, and a row is what
/// it is alone.
/// </summary>
[TestClass]
[TestCategory("Generation")]
public sealed class FewRowsTests
{
    /// <summary>Widths on both sides of a processor's vectors.</summary>
    public static IEnumerable<object[]> Shapes =>
        from type in new[] { ScalarType.Float32, ScalarType.BFloat16 }
        from rows in new long[] { 1, 3, 16 }
        from width in new long[] { 2, 20, 64, 578 }
        select new object[] { type, rows, width };

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void TheGateIsItsFormula(ScalarType type, long rows, long width)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(2);
        Tensor gate = (randn([rows, 1, width], generator: generator) * 10).to(type);
        Tensor x = randn([rows, 1, width], generator: generator).to(type);
        Assert.IsTrue(FewRowsGate.Fits(gate, x));

        Tensor y = FewRowsGate.Compute(gate, x);

        Tensor expected = nn.functional.silu(Exact(gate)) * Exact(x);
        AssertClose(y, expected, expected.abs());
        AssertAlone(y, row => FewRowsGate.Compute(gate[row], x[row]));
    }

    [TestMethod]
    public void AGateFarBelowZeroIsShut()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor gates = tensor(new[] { -1e30f, -1000, -90, 1e30f }).unsqueeze(0);

        float[] values = FewRowsGate.Compute(gates, ones_like(gates)).data<float>().ToArray();

        CollectionAssert.AreEqual(new[] { -0f, -0f, -0f, 1e30f }, values);
    }

    /// <summary>Keys and values are the front of a longer cache; rows have paddings of several lengths in front, and one a gap.</summary>
    [TestMethod]
    [DataRow(ScalarType.Float32, 1, 64)]
    [DataRow(ScalarType.Float32, 4, 20)]
    [DataRow(ScalarType.BFloat16, 1, 64)]
    [DataRow(ScalarType.BFloat16, 4, 20)]
    [DataRow(ScalarType.BFloat16, 16, 128)]
    public void AttentionIsItsFormula(ScalarType type, long rows, long width)
    {
        const int Heads = 6, Groups = 2, Keys = 70;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(4);
        Tensor query = (randn([rows, Heads, 1, width], generator: generator) * 2).to(type);
        Tensor key = randn([rows, Groups, Keys + 5, width], generator: generator).to(type).narrow(2, 0, Keys);
        Tensor value = randn([rows, Groups, Keys + 9, width], generator: generator).to(type).narrow(2, 3, Keys);
        Tensor mask = ones([rows, 1, 1, Keys], ScalarType.Bool);
        for (long row = 0; row < rows; row++)
        {
            mask[row].narrow(-1, 0, row % 9 * 4).fill_(false);
        }

        mask[0].narrow(-1, 20, 3).fill_(false);
        Assert.IsTrue(FewRowsAttention.Fits(query, key, value, mask));

        Tensor attended = FewRowsAttention.Compute(query, key, value, mask);

        // Scores of up to 20 are rounded at their 24th bit, which scales weights by as much.
        Tensor expected = nn.functional.scaled_dot_product_attention(Exact(query), Repeated(key), Repeated(value), mask);
        Tensor sizes = nn.functional.scaled_dot_product_attention(Exact(query), Repeated(key), Repeated(value).abs(), mask);
        AssertClose(attended, expected, type == ScalarType.Float32 ? sizes * 2 : expected.abs() + (sizes * 1e-5));
        AssertAlone(attended, row =>
        {
            // Without what it does not see, as it lies when it is alone.
            Tensor seen = mask[row].flatten().nonzero().flatten();
            return FewRowsAttention.Compute(
                query.narrow(0, row, 1), key.narrow(0, row, 1).index_select(2, seen), value.narrow(0, row, 1).index_select(2, seen), null);
        });

        Tensor Repeated(Tensor x) => Exact(x).repeat_interleave(Heads / Groups, 1);
    }

    [TestMethod]
    public void ManyRowsManyTokensGradientsAndOtherTypesAreNotForIt()
    {
        using var scope = NewDisposeScope();
        Assert.IsFalse(FewRows.Are(zeros(2, 1, 4)));
        using var noGrad = no_grad();

        Assert.IsTrue(FewRows.Are(zeros(2, 1, 4)));
        Assert.IsTrue(FewRows.Are(zeros(16, 4)));
        Assert.IsTrue(FewRows.Are(zeros(16, 1, 3, 4)));
        Assert.IsFalse(FewRows.Are(zeros(17, 4)));
        Assert.IsFalse(FewRows.Are(zeros(2, 2, 4)));
        Assert.IsFalse(FewRows.Are(zeros(2, 4, ScalarType.Float64)));
        Assert.IsFalse(FewRows.Are(zeros(2, 4, ScalarType.Float16)));
        Assert.IsTrue(FewRowsGate.Fits(zeros(2, 4), zeros(2, 4)));
        Assert.IsFalse(FewRowsGate.Fits(zeros(2, 4), zeros(2, 4, ScalarType.BFloat16)));
        Assert.IsFalse(FewRowsGate.Fits(zeros(2, 4), zeros(2, 5)));
        Assert.IsFalse(FewRowsGate.Fits(zeros(4, 2).t(), zeros(2, 4)));
    }

    /// <summary>As libtorch rounds: to the nearest, ties to even; what is no number stays none.</summary>
    [TestMethod]
    public void RoundingIsLibtorchs()
    {
        using var scope = NewDisposeScope();
        float[] values =
        [
            0, -0f, 1, 1 + (1f / 256), 1 + (3f / 256), 1.00390637f, -1 - (1f / 256), 3.4e38f, float.MaxValue, float.PositiveInfinity,
            float.NegativeInfinity, float.NaN, BitConverter.UInt32BitsToSingle(0x7F800001), BitConverter.UInt32BitsToSingle(0xFFFFFFFF),
            1e-40f, float.Epsilon, 0.1f, -123.456f,
        ];

        // Once by vectors, and each at the end, alone.
        foreach (int length in Enumerable.Range(1, values.Length))
        {
            Tensor expected = tensor(values[..length]).to(ScalarType.BFloat16), rounded = empty(length, ScalarType.BFloat16);
            var read = new float[length];
            unsafe
            {
                TensorData.Write<BFloat16Values>(values.AsSpan(0, length), (byte*)TensorData.Address(rounded));
                TensorData.Read<BFloat16Values>((byte*)TensorData.Address(rounded), read);
            }

            CollectionAssert.AreEqual(expected.to(ScalarType.Float32).data<float>().ToArray(), read);
            CollectionAssert.AreEqual(read, rounded.to(ScalarType.Float32).data<float>().ToArray());
        }
    }

    [TestMethod]
    [DataRow(ScalarType.Float32)]
    [DataRow(ScalarType.BFloat16)]
    [DoNotParallelize]
    public void NoTensorIsLeft(ScalarType type)
    {
        using var noGrad = no_grad();
        using Tensor x = zeros([2, 1, 4], type), head = zeros([2, 1, 1, 4], type);
        using Tensor mask = ones([2, 1, 1, 1], ScalarType.Bool);

        // What earlier tests left to the collector would lower the count when it is collected.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;

        FewRowsGate.Compute(x, x).Dispose();
        FewRowsAttention.Compute(head, head, head, mask).Dispose();

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    /// <summary>
    /// In bfloat16 two roundings of 8 bits, 1/256 each, and what float32 loses before them; in float32 sixteen roundings of 24 bits: more
    /// than a value goes through in a sum by lanes.
    /// </summary>
    private static void AssertClose(Tensor actual, Tensor expected, Tensor size)
    {
        double unit = actual.dtype == ScalarType.Float32 ? 16 * Math.ScaleB(1, -24) : 2.02 / 256;
        Tensor difference = (Exact(actual) - expected).abs();
        Assert.IsTrue((difference <= size * unit + 1e-7).all().item<bool>(), $"off by {difference.max().item<double>()}");
    }

    private static void AssertAlone(Tensor together, Func<long, Tensor> alone)
    {
        for (long row = 0; row < together.shape[0]; row++)
        {
            Assert.IsTrue(alone(row).flatten().equal(together[row].flatten()).all().item<bool>(), $"row {row}");
        }
    }

    private static Tensor Exact(Tensor tensor) => tensor.to(ScalarType.Float64);
}
