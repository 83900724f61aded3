using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Generation;

[TestClass]
[TestCategory("Generation")]
public sealed class FewRowsProductTests
{
    /// <summary>Rows on both sides of each bound, outputs that are and are not a multiple of a part, and a prime number of them.</summary>
    public static IEnumerable<object[]> Shapes =>
        from rows in new long[] { 1, 2, 3, 4, 5, 8, 16 }
        from outputs in new long[] { 1, 7, 96, 97, 192, 576, 1031 }
        select new object[] { rows, outputs };

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void ItIsTheLinearMap(long rows, long outputs)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(5);

        // Behind others in memory, as the last token of a prompt is.
        Tensor x = randn([rows + 3, 1, 40], generator: generator).narrow(0, 3, rows), weight = randn([outputs, 40], generator: generator);
        Tensor? bias = outputs % 2 == 0 ? null : randn([outputs], generator: generator);

        Tensor y = FewRowsProduct.Compute(x, weight, bias);

        Assert.IsTrue(y.is_contiguous());
        CollectionAssert.AreEqual(new[] { rows, 1, outputs }, y.shape);
        Tensor expected = nn.functional.linear(x.to(ScalarType.Float64), weight.to(ScalarType.Float64), bias?.to(ScalarType.Float64));
        Assert.IsLessThan(2e-5, (y - expected).abs().max().item<double>());
    }

    [TestMethod]
    public void ItIsForFewRowsOfFloat32WithoutGradientsOnTheCpu()
    {
        using var scope = NewDisposeScope();
        Tensor weight = zeros(6, 4), few = zeros(16, 4), many = zeros(17, 4);
        Assert.IsFalse(FewRowsProduct.Fits(few, weight));
        using var noGrad = no_grad();

        Assert.IsTrue(FewRowsProduct.Fits(few, weight));
        Assert.IsFalse(FewRowsProduct.Fits(many, weight));
        Assert.IsFalse(FewRowsProduct.Fits(few.to(ScalarType.BFloat16), weight.to(ScalarType.BFloat16)));
        Assert.IsFalse(FewRowsProduct.Fits(few, zeros(4, 6).t()));
    }
}
