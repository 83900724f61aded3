using Microsoft.ML.Sorsa.Tensors;
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
    [DataRow(17, 17, 6, false)]
    [DataRow(64, 64, 2, true)]
    [DataRow(70, 70, 1, false)]
    [DataRow(5, 40, 3, true)]
    [DataRow(33, 33, 2, true)]
    public void OutputAndGradientsAreThoseOfFloat64(int queries, int keys, int keyHeads, bool masked)
    {
        const int Heads = 6;
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor[] inputs = [.. new[] { (Heads, queries), (keyHeads, keys), (keyHeads, keys) }.Select(
            of => randn([2, of.Item1, of.Item2, 16], ScalarType.Float32, generator: generator).to(ScalarType.BFloat16))];
        Tensor? mask = masked ? Visible(queries, keys) : null;
        Tensor gradient = randn([2, Heads, queries, 16], ScalarType.Float32, generator: generator).to(ScalarType.BFloat16);

        Tensor[] narrow = AttentionResults.Of(inputs, gradient, (q, k, v) => NarrowAttention.Apply(q, k, v, mask));
        Tensor[] exact = AttentionResults.Of(
            [.. inputs.Select(Wide)], Wide(gradient),
            (q, k, v) => nn.functional.scaled_dot_product_attention(q, Repeated(k), Repeated(v), mask, is_casual: mask is null));

        for (int i = 0; i < narrow.Length; i++)
        {
            Assert.IsLessThanOrEqualTo(0.03, ((Wide(narrow[i]) - exact[i]).norm() / exact[i].norm()).item<double>());
        }

        static Tensor Wide(Tensor tensor) => tensor.to(ScalarType.Float64);

        Tensor Repeated(Tensor x) => x.repeat_interleave(Heads / keyHeads, 1);
    }

    /// <summary>What a query does not see changes no bit of what it comes to, nor of its gradient; nor does how the inputs lie.</summary>
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(2)]
    public void WhatIsNotSeenChangesNothing(int masks)
    {
        const int Tokens = 40, Seen = 23;
        using var scope = NewDisposeScope();
        using var generator = new Generator(5);
        Tensor[] inputs = [.. Enumerable.Range(0, 3).Select(
            _ => randn([2, Tokens, 4, 16], ScalarType.Float32, generator: generator).to(ScalarType.BFloat16).transpose(1, 2))];
        Tensor[] changed = [.. inputs.Select(input => input.contiguous().clone())];
        changed[1].narrow(2, Seen, Tokens - Seen).fill_(1000);
        changed[2].narrow(2, Seen, Tokens - Seen).fill_(-1000);
        Tensor? mask = masks == 0 ? null : ones([masks, 1, Tokens, Tokens], ScalarType.Bool).tril();
        Tensor gradient = zeros([2, 4, Tokens, 16], ScalarType.BFloat16);
        gradient.narrow(2, 0, Seen).fill_(1);

        Tensor[] before = AttentionResults.Of(inputs, gradient, (q, k, v) => NarrowAttention.Apply(q, k, v, mask));
        Tensor[] after = AttentionResults.Of(changed, gradient, (q, k, v) => NarrowAttention.Apply(q, k, v, mask));

        foreach ((Tensor first, Tensor second) in before.Zip(after))
        {
            Assert.IsTrue(first.narrow(2, 0, Seen).equal(second.narrow(2, 0, Seen)).all().item<bool>());
        }

        Assert.AreEqual(0, after[1].narrow(2, Seen, Tokens - Seen).abs().max().to(ScalarType.Float32).item<float>());
        Assert.AreEqual(0, after[2].narrow(2, Seen, Tokens - Seen).abs().max().to(ScalarType.Float32).item<float>());
        using var noGrad = no_grad();
        Assert.IsTrue(NarrowAttention.Apply(inputs[0], inputs[1], inputs[2], mask).equal(before[0]).all().item<bool>());
    }

    /// <summary>And what comes back may lie anyhow, or be one number for all.</summary>
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(2)]
    public void EachMayTrainAlone(int which)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(6);
        Tensor[] inputs = [.. new long[] { 4, 2, 2 }.Select(
            heads => randn([2, heads, 9, 16], ScalarType.Float32, generator: generator).to(ScalarType.BFloat16))];
        foreach (Tensor gradient in new[]
        {
            randn([2, 9, 16, 4], ScalarType.Float32, generator: generator).to(ScalarType.BFloat16).permute(0, 3, 1, 2),
            ones([], ScalarType.BFloat16).expand(2, 4, 9, 16),
        })
        {
            Tensor[] all = AttentionResults.Of(inputs, gradient.contiguous(), (q, k, v) => NarrowAttention.Apply(q, k, v, null));
            Tensor alone = AttentionResults.OfOne(inputs, which, gradient, (q, k, v) => NarrowAttention.Apply(q, k, v, null));

            Assert.IsTrue(alone.equal(all[1 + which]).all().item<bool>());
        }
    }

    [TestMethod]
    [DoNotParallelize]
    public void NoTensorIsLeft()
    {
        using Tensor query = ones([1, 2, 3, 4], ScalarType.BFloat16, requires_grad: true), key = ones([1, 1, 3, 4], ScalarType.BFloat16);
        using Tensor gradient = ones([1, 2, 3, 4], ScalarType.BFloat16), mask = ones([1, 1, 3, 3], ScalarType.Bool);

        Assert.AreEqual(0, AttentionResults.TensorsLeft(query, key, gradient, (q, k, v) => NarrowAttention.Apply(q, k, v, mask)));
    }

    [TestMethod]
    public void ItIsForBFloat16AndShortTextsOnACpu()
    {
        using var scope = NewDisposeScope();
        Assert.IsTrue(Fits(512, 512));
        Assert.IsFalse(Fits(513, 513));
        Assert.IsFalse(Fits(8, 8, type: ScalarType.Float32));
        Assert.IsFalse(Fits(8, 8, keyHeads: 4));

        // Without a mask it counts from the first key, and a mask is read where it lies.
        Assert.IsFalse(Fits(4, 8));
        Assert.IsTrue(Fits(4, 8, ones(1, 1, 4, 8, ScalarType.Bool)));
        Assert.IsTrue(Fits(4, 8, ones(2, 1, 4, 8, ScalarType.Bool)));
        Assert.IsFalse(Fits(4, 8, ones(3, 1, 4, 8, ScalarType.Bool)));
        Assert.IsFalse(Fits(4, 8, ones(1, 6, 4, 8, ScalarType.Bool)));
        Assert.IsFalse(Fits(4, 8, ones(1, 1, 1, 8, ScalarType.Bool)));
        Assert.IsFalse(Fits(4, 8, ones(1, 1, 4, 1, ScalarType.Bool)));
        Assert.IsFalse(Fits(4, 8, ones(4, 8, ScalarType.Bool)));
        Assert.IsFalse(Fits(4, 8, ones(1, 1, 4, 8)));
        Assert.AreEqual(64, NarrowAttention.Weights(8, ScalarType.BFloat16, onCpu: true));
        Assert.AreEqual(0, NarrowAttention.Weights(8, ScalarType.BFloat16, onCpu: false));

        static bool Fits(long queries, long keys, Tensor? mask = null, ScalarType type = ScalarType.BFloat16, long keyHeads = 3) =>
            NarrowAttention.Fits(
                zeros([2, 6, queries, 2], type), zeros([2, keyHeads, keys, 2], type), zeros([2, keyHeads, keys, 2], type), mask);
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
}
