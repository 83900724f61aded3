using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>Attention of float32 on a CPU over whole texts, against libtorch's own in float64.</summary>
[TestClass]
[TestCategory("Models")]
public sealed class CausalAttentionTests
{
    private const int Heads = 6;

    [TestInitialize]
    public void RequireFusedMultiplyAdd()
    {
        if (!CausalAttention.IsFor(ScalarType.Float32, onCpu: true, 16))
        {
            Assert.Inconclusive("This processor has no fused multiply-add: attention is libtorch's.");
        }
    }

    /// <summary>
    /// Numbers of 24 bits, e^x within two units of the last, and of scores the gradients are differences. The texts are shorter and longer
    /// than the 64 queries and 16 keys that are taken at a time. What lies around queries, keys, values and gradient is read by nobody.
    /// </summary>
    [TestMethod]
    [DataRow(1, 16, 2)]
    [DataRow(2, 16, 6)]
    [DataRow(7, 16, 1)]
    [DataRow(15, 16, 2)]
    [DataRow(16, 32, 2)]
    [DataRow(17, 64, 3)]
    [DataRow(48, 16, 6)]
    [DataRow(63, 16, 2)]
    [DataRow(64, 16, 2)]
    [DataRow(65, 48, 6)]
    [DataRow(127, 16, 3)]
    [DataRow(128, 16, 1)]
    [DataRow(129, 16, 2)]
    [DataRow(200, 80, 2)]
    public void OutputAndGradientsAreThoseOfFloat64(int tokens, int width, int keyHeads)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = [.. Inputs(tokens, width, keyHeads, seed: 3).Select(AmongNoNumbers)];
        Tensor gradient = AmongNoNumbers(Random(tokens, width, Heads, seed: 4));

        Tensor[] ours = AttentionResults.Of(inputs, gradient, CausalAttention.Apply);
        Tensor[] exact = AttentionResults.Of(
            [.. inputs.Select(Wide)], Wide(gradient),
            (q, k, v) => nn.functional.scaled_dot_product_attention(q, Repeated(k), Repeated(v), is_casual: true));

        foreach ((Tensor own, Tensor wide) in ours.Zip(exact))
        {
            CollectionAssert.AreEqual(wide.shape, own.shape);

            // One key alone has a weight of 1, whatever its score.
            double size = Math.Max(wide.norm().item<double>(), 1e-3);
            Assert.IsLessThanOrEqualTo(1e-6, (Wide(own) - wide).norm().item<double>() / size);
        }

        static Tensor Wide(Tensor tensor) => tensor.to(ScalarType.Float64);

        Tensor Repeated(Tensor x) => x.repeat_interleave(Heads / keyHeads, 1);
    }

    /// <summary>What is left in a thread's own memory has no part in what comes out.</summary>
    [TestMethod]
    [DataRow(9)]
    [DataRow(70)]
    [DataRow(150)]
    public unsafe void WhatWasThereBeforeIsNotRead(int tokens)
    {
        const int Width = 16;
        using var scope = NewDisposeScope();
        var head = new CausalHead(tokens, Width);
        Tensor[] values = [.. Enumerable.Range(0, 4).Select(seed => Random(tokens, Width, 1, seed).narrow(0, 0, 1).contiguous())];
        Tensor[] results = [.. values.Select(like => full_like(like, float.NaN))];
        Tensor packed = full([2, head.PackedValues], float.NaN), scratch = full([head.ScratchValues], float.NaN);
        HeadRows[] of = [.. values.Concat(results).Select(tensor => new HeadRows(TensorData.Address(tensor), Width))];
        (HeadRows query, HeadRows key, HeadRows value, HeadRows gradient) = (of[0], of[1], of[2], of[3]);
        float* keys = (float*)TensorData.Address(packed), own = (float*)TensorData.Address(scratch);

        head.Pack(key, keys);
        head.Pack(value, keys + head.PackedValues);
        for (int block = 0; block < head.Blocks; block++)
        {
            head.Attend(block, query, keys, value, own, of[4]);
            scratch.fill_(float.NaN);
        }

        head.Differentiate(query, key, keys, keys + head.PackedValues, gradient, own, (of[5], of[6], of[7]));

        Tensor[] expected = AttentionResults.Of(values[..3], values[3], CausalAttention.Apply);
        foreach ((Tensor result, Tensor same) in results.Zip(expected))
        {
            Assert.IsTrue(result.equal(same).all().item<bool>());
        }
    }

    /// <summary>Whatever numbers stand behind a query change no bit of what it comes to; nor does how the inputs lie.</summary>
    [TestMethod]
    [DataRow(23)]
    [DataRow(64)]
    [DataRow(100)]
    public void WhatComesLaterChangesNothing(int seen)
    {
        const int Tokens = 150, Width = 32;
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(Tokens, Width, 3, seed: 5);
        Tensor[] changed = [.. inputs.Select(input => input.contiguous().clone())];
        foreach (Tensor input in changed)
        {
            input.narrow(2, seen, Tokens - seen).fill_(1000);
        }

        Tensor[] cut = [.. inputs.Select(input => input.narrow(2, 0, seen))];
        Tensor gradient = zeros([2, Heads, Tokens, Width]);
        gradient.narrow(2, 0, seen).fill_(1);

        Tensor[] whole = AttentionResults.Of(inputs, gradient, CausalAttention.Apply);
        Tensor[] alone = AttentionResults.Of(cut, gradient.narrow(2, 0, seen), CausalAttention.Apply);
        using var noGrad = no_grad();
        Tensor beside = CausalAttention.Apply(changed[0], changed[1], changed[2]);

        AreSame(whole[0], beside);
        AreSame(whole[0], alone[0]);
        AreSame(whole[1], alone[1]);
        Assert.AreEqual(0, whole[2].narrow(2, seen, Tokens - seen).abs().max().item<float>());
        Assert.AreEqual(0, whole[3].narrow(2, seen, Tokens - seen).abs().max().item<float>());

        void AreSame(Tensor first, Tensor second) =>
            Assert.IsTrue(first.narrow(2, 0, seen).equal(second.narrow(2, 0, seen)).all().item<bool>());
    }

    /// <summary>A text comes to the same beside others, and with however many threads.</summary>
    [TestMethod]
    [DoNotParallelize]
    public void ATextComesToWhatItIsAlone()
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(90, 16, 2, seed: 6);
        Tensor gradient = Random(90, 16, Heads, seed: 7);
        Tensor[] both = AttentionResults.Of(inputs, gradient, CausalAttention.Apply);

        int threads = get_num_threads();
        set_num_threads(4);
        try
        {
            for (int run = 0; run < 20; run++)
            {
                int text = run % 2;
                Tensor[] one = AttentionResults.Of(
                    [.. inputs.Select(input => input.narrow(0, text, 1))], gradient.narrow(0, text, 1), CausalAttention.Apply);
                foreach ((Tensor first, Tensor second) in both.Zip(one))
                {
                    Assert.IsTrue(first.narrow(0, text, 1).equal(second).all().item<bool>());
                }
            }
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    /// <summary>And what comes back may lie anyhow, or be one number for all.</summary>
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(2)]
    public void EachMayTrainAlone(int which)
    {
        using var scope = NewDisposeScope();
        Tensor[] inputs = Inputs(9, 16, 2, seed: 8);
        foreach (Tensor gradient in new[]
        {
            Random(9, 16, Heads, seed: 9).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
            Random(9, 16, Heads, seed: 10).transpose(1, 2).contiguous().transpose(1, 2),
            ones([]).expand(2, Heads, 9, 16),
        })
        {
            Tensor[] all = AttentionResults.Of(inputs, gradient.contiguous(), CausalAttention.Apply);
            Tensor alone = AttentionResults.OfOne(inputs, which, gradient, CausalAttention.Apply);

            Assert.IsTrue(alone.equal(all[1 + which]).all().item<bool>());
        }
    }

    /// <summary>Scores far beyond what e^x can be: a weight of 1 for the largest, and gradients of numbers.</summary>
    [TestMethod]
    public void LargeScoresAreNumbers()
    {
        using var scope = NewDisposeScope();
        Tensor query = full([1, 1, 3, 16], 1e4), value = arange(3, ScalarType.Float32).view(1, 1, 3, 1).expand(1, 1, 3, 16).contiguous();
        Tensor key = tensor([1f, 3f, 2f]).view(1, 1, 3, 1).expand(1, 1, 3, 16).contiguous();

        Tensor[] results = AttentionResults.Of([query, key, value], ones(1, 1, 3, 16), CausalAttention.Apply);

        Assert.AreEqual("0 1 1", string.Join(' ', results[0].select(3, 0).contiguous().data<float>()));
        Assert.IsTrue(results.All(result => result.isfinite().all().item<bool>()));
    }

    [TestMethod]
    [DoNotParallelize]
    public void NoTensorIsLeft()
    {
        using Tensor query = ones([1, 2, 3, 16], requires_grad: true), key = ones([1, 1, 3, 16]), gradient = ones([1, 2, 3, 16]);

        Assert.AreEqual(0, AttentionResults.TensorsLeft(query, key, gradient, CausalAttention.Apply));
    }

    [TestMethod]
    public void ItIsForFloat32OverWholeTextsOnACpu()
    {
        using var scope = NewDisposeScope();
        Assert.IsTrue(Fits(8, 8));
        Assert.IsFalse(Fits(8, 8, type: ScalarType.BFloat16));
        Assert.IsFalse(Fits(8, 8, keyHeads: 4));
        Assert.IsFalse(Fits(8, 8, width: 8));
        Assert.IsFalse(Fits(4, 8));
        Assert.IsFalse(Fits(0, 0));
        Tensor query = zeros(2, 6, 8, 16);
        foreach (Tensor other in new[] { zeros(1, 3, 8, 16), zeros(2, 2, 8, 16), zeros(2, 3, 7, 16), zeros(2, 3, 8, 32), zeros(3, 8, 16) })
        {
            Assert.IsFalse(CausalAttention.Fits(query, zeros(2, 3, 8, 16), other, mask: null));
            Assert.IsFalse(CausalAttention.Fits(query, other, zeros(2, 3, 8, 16), mask: null));
            Assert.ThrowsExactly<ArgumentException>(() => CausalAttention.Apply(query, zeros(2, 3, 8, 16), other));
        }

        Assert.IsFalse(Fits(8, 8, mask: ones(1, 1, 8, 8, ScalarType.Bool)));
        Assert.IsFalse(CausalAttention.IsFor(ScalarType.Float32, onCpu: false, 16));

        static bool Fits(
            long queries, long keys, Tensor? mask = null, ScalarType type = ScalarType.Float32, long keyHeads = 3, long width = 16) =>
            CausalAttention.Fits(
                zeros([2, Heads, queries, width], type), zeros([2, keyHeads, keys, width], type), zeros([2, keyHeads, keys, width], type),
                mask);
    }

    /// <summary>As a model has them: queries and keys by heads, values by tokens.</summary>
    private static Tensor[] Inputs(int tokens, int width, int keyHeads, long seed) =>
    [
        Random(tokens, width, Heads, seed), Random(tokens, width, keyHeads, seed + 100),
        Random(tokens, width, keyHeads, seed + 200).transpose(1, 2).contiguous().transpose(1, 2),
    ];

    private static Tensor Random(int tokens, int width, int heads, long seed)
    {
        using var generator = new Generator((ulong)seed);
        return randn([2, heads, tokens, width], ScalarType.Float32, generator: generator);
    }

    /// <summary>The same, as part of a larger tensor.</summary>
    private static Tensor AmongNoNumbers(Tensor heads)
    {
        bool byToken = heads.stride(2) > heads.stride(1);
        Tensor values = byToken ? heads.transpose(1, 2) : heads;
        Tensor all = full([values.size(0), values.size(1) + 2, values.size(2) + 2, values.size(3) + 16], float.NaN);
        Tensor part = all.narrow(1, 1, values.size(1)).narrow(2, 1, values.size(2)).narrow(3, 0, values.size(3));
        part.copy_(values);
        return byToken ? part.transpose(1, 2) : part;
    }
}
