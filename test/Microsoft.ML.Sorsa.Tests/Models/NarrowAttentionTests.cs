using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>Attention of bfloat16 on a CPU, against libtorch's own in float64.</summary>
[TestClass]
[TestCategory("Models")]
[TestCategory("Mixed")]
public sealed class NarrowAttentionTests
{
    /// <summary>
    /// Output and gradients are sums of some numbers of the size of 1 that were rounded to 8 bits on the way, weights and scores among
    /// them: 2⁻⁸ each, and scores up to 8 of them. libtorch's own in bfloat16 is no nearer than half of that.
    /// </summary>
    [TestMethod]
    [DataRow(17, 17, false)]
    [DataRow(64, 64, true)]
    [DataRow(5, 40, true)]
    public void OutputAndGradientsAreThoseOfFloat64(int queries, int keys, bool masked)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor[] inputs = [.. new[] { queries, keys, keys }.Select(
            tokens => randn([2, 3, tokens, 16], ScalarType.Float32, generator: generator).to(ScalarType.BFloat16))];
        Tensor? mask = masked ? Visible(queries, keys) : null;
        Tensor gradient = randn([2, 3, queries, 16], ScalarType.Float32, generator: generator).to(ScalarType.BFloat16);

        Tensor[] narrow = Results(inputs, gradient, (q, k, v) => NarrowAttention.Compute(q, k, v, mask));
        Tensor[] exact = Results(
            [.. inputs.Select(Wide)], Wide(gradient),
            (q, k, v) => nn.functional.scaled_dot_product_attention(q, k, v, mask, is_casual: mask is null));

        for (int i = 0; i < narrow.Length; i++)
        {
            Assert.IsLessThanOrEqualTo(0.03, ((Wide(narrow[i]) - exact[i]).norm() / exact[i].norm()).item<double>());
        }

        static Tensor Wide(Tensor tensor) => tensor.to(ScalarType.Float64);
    }

    [TestMethod]
    public void ItIsForBFloat16AndShortTextsOnACpu()
    {
        using var scope = NewDisposeScope();
        Tensor Of(int tokens, ScalarType type) => zeros([1, 1, tokens, 2], type);

        Assert.IsTrue(NarrowAttention.Fits(Of(512, ScalarType.BFloat16), Of(512, ScalarType.BFloat16)));
        Assert.IsFalse(NarrowAttention.Fits(Of(513, ScalarType.BFloat16), Of(513, ScalarType.BFloat16)));
        Assert.IsFalse(NarrowAttention.Fits(Of(8, ScalarType.Float32), Of(8, ScalarType.Float32)));
        Assert.AreEqual(64, NarrowAttention.Weights(8, ScalarType.BFloat16, onCpu: true));
        Assert.AreEqual(0, NarrowAttention.Weights(8, ScalarType.BFloat16, onCpu: false));
    }

    /// <summary>A third of the keys is padding on the left of the second row; nobody sees the future.</summary>
    private static Tensor Visible(int queries, int keys)
    {
        var visible = new bool[2, 1, queries, keys];
        for (int row = 0; row < 2; row++)
        {
            for (int query = 0; query < queries; query++)
            {
                for (int key = 0; key <= keys - queries + query; key++)
                {
                    visible[row, 0, query, key] = row == 0 || key >= keys / 3 || key == keys - queries + query;
                }
            }
        }

        return tensor(visible);
    }

    private static Tensor[] Results(Tensor[] inputs, Tensor gradient, Func<Tensor, Tensor, Tensor, Tensor> attend)
    {
        Tensor[] leaves = [.. inputs.Select(input => input.detach().clone().requires_grad_())];
        Tensor output = attend(leaves[0], leaves[1], leaves[2]);
        output.backward([gradient]);
        return [output.detach(), .. leaves.Select(leaf => leaf.grad!)];
    }
}
