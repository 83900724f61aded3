using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Microsoft.ML.Sorsa.Tests.Types;

/// <summary>
/// Products of 16 bits where the processor has none: computed in float32, and rounded once. Against float64; most processors are of that
/// kind for float16, and build/numeric-tests.sh has .NET take any for one of that kind for bfloat16.
/// </summary>
[TestClass]
[TestCategory("Mixed")]
public sealed class ProductTypeTests
{
    /// <summary>Sums of some hundred products of the size of 1 in float32, of the largest of them.</summary>
    private const double Sums = 2e-6;

    [TestMethod]
    [DataRow(ScalarType.BFloat16, BFloat16Support.None, ScalarType.Float32)]
    [DataRow(ScalarType.BFloat16, BFloat16Support.Avx512, ScalarType.BFloat16)]
    [DataRow(ScalarType.BFloat16, BFloat16Support.Amx, ScalarType.BFloat16)]
    [DataRow(ScalarType.BFloat16, BFloat16Support.Unknown, ScalarType.BFloat16)]
    [DataRow(ScalarType.Float32, BFloat16Support.None, ScalarType.Float32)]
    [DataRow(ScalarType.Float64, BFloat16Support.None, ScalarType.Float64)]
    public void WhatTheProcessorMultipliesIsMultiplied(ScalarType type, object support, ScalarType expected)
    {
        Assert.AreEqual(expected, ProductType.OnCpu(type, (BFloat16Support)support));
        Assert.AreEqual(type, ProductType.Of(type, onCpu: false));
    }

    /// <summary>In several parts, as the second number of outputs is.</summary>
    [TestMethod]
    [DataRow(ScalarType.Float16, ScalarType.Float16, 70, false)]
    [DataRow(ScalarType.Float16, ScalarType.Float16, 3500, true)]
    [DataRow(ScalarType.BFloat16, ScalarType.BFloat16, 3500, true)]
    [DataRow(ScalarType.Float32, ScalarType.BFloat16, 3500, true)]
    [DataRow(ScalarType.Float32, ScalarType.Float64, 70, false)]
    public void AFrozenWeightsProductsAreThoseOfFloat64(ScalarType type, ScalarType weightType, int outputs, bool hasBias)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor w = Random(weightType, generator, outputs, 640);
        Tensor? bias = hasBias ? Random(weightType, generator, outputs) : null;
        Tensor x = Random(type, generator, 3, 20, 640).requires_grad_(), dy = Random(type, generator, 3, 20, outputs);
        RequireWidened(x, w);

        Tensor y = InAPass(() => WideLinear.Apply(x, w, bias), dy);

        IsRounded(y, Wide(x).matmul(Wide(w).t()) + (bias is null ? zeros(1, ScalarType.Float64) : Wide(bias)));
        IsRounded(x.grad!, Wide(dy).matmul(Wide(w)));
        using var noGrad = no_grad();
        Assert.IsTrue(WideLinear.Apply(x, w, bias).equal(y).all().item<bool>());
    }

    /// <summary>Of a weight that trains in float32 beside an input of 16 bits; x need not take a gradient.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void AWeightThatTrainsHasAGradientInItsOwnType(bool inputTrains)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(2);
        var w = new Parameter(Random(ScalarType.Float32, generator, 2500, 500));
        Tensor x = Random(ScalarType.Float16, generator, 60, 500).requires_grad_(inputTrains);
        Tensor dy = Random(ScalarType.Float16, generator, 60, 2500);
        RequireWidened(x, x);

        Tensor y = InAPass(() => WideLinear.Apply(x, w, null), dy);

        IsRounded(y, Wide(x).matmul(Wide(w).t()));
        IsRounded(w.grad!, Wide(dy).t().matmul(Wide(x)));
        Assert.AreEqual(inputTrains, x.grad is not null);
    }

    /// <summary>What trains stays in float32 on its way; so does what is summed. With gradients and without come the same bits.</summary>
    [TestMethod]
    [DataRow(ScalarType.Float16, 16, false, false)]
    [DataRow(ScalarType.Float16, 5, true, false)]
    [DataRow(ScalarType.Float16, 16, true, true)]
    [DataRow(ScalarType.BFloat16, 16, false, false)]
    [DataRow(ScalarType.BFloat16, 5, true, true)]
    public void AnAdaptersProductsAreThoseOfFloat64(ScalarType type, int rank, bool hasDropout, bool isQuantized)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor x = Random(type, generator, 2, 30, 96).requires_grad_(), dy = Random(type, generator, 2, 30, 80);
        Tensor dense = Random(type, generator, 80, 96);
        RequireWidened(x, dense);
        FrozenWeight weight = isQuantized ? new Nf4Weight(dense.to(ScalarType.Float32)) : new PlainWeight(dense);
        var a = new Parameter(Random(ScalarType.Float32, generator, rank, 96));
        var b = new Parameter(Random(ScalarType.Float32, generator, 80, rank));
        Tensor bias = Random(type, generator, 80);
        Tensor? mask = hasDropout ? Random(type, generator, 2, 30, 96).gt(0).to(type) : null;

        Tensor y = InAPass(() => LowRankFunction.Apply(x, weight, bias, b, a, mask), dy);

        Tensor w = Wide(weight.Dense(ScalarType.Float32)), seen = hasDropout ? Wide(mask!) : ones(1, ScalarType.Float64);
        Tensor input = (Wide(x) * seen).view(60, 96), hidden = input.mm(Wide(a).t()), flat = Wide(dy).view(60, 80), p = flat.mm(Wide(b));
        IsRounded(y, Wide(x).matmul(w.t()) + Wide(bias) + hidden.mm(Wide(b).t()).view(2, 30, 80));
        IsRounded(x.grad!, Wide(dy).matmul(w) + (p.mm(Wide(a)).view(2, 30, 96) * seen));
        IsRounded(b.grad!, flat.t().mm(hidden));
        IsRounded(a.grad!, p.t().mm(input));
        using var noGrad = no_grad();
        Assert.IsTrue(LowRankFunction.Apply(x, weight, bias, b, a, mask).equal(y).all().item<bool>());
    }

    /// <summary>
    /// Attention alone: projections that take queries, keys and values out of the input and put the result back, and angles of zero.
    /// libtorch's own rounds the weights of the keys, too.
    /// </summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void AttentionIsThatOfFloat64(bool hasMask)
    {
        const int Tokens = 24, Queries = 32, Keys = 16, Width = 16;
        using var scope = NewDisposeScope();
        using var generator = new Generator(5);
        using var noGrad = no_grad();
        Tensor x = Random(ScalarType.Float16, generator, 2, Tokens, Queries + (2 * Keys));
        RequireWidened(x, x);
        Tensor all = eye(Queries + (2 * Keys), dtype: ScalarType.Float16);
        DecoderSpec spec = DecoderConfig.Load(TestData.TinyLlama).Spec;
        spec = spec with
        {
            HiddenSize = Queries + (2 * Keys),
            Attention = spec.Attention with { HeadCount = 2, KeyValueHeadCount = 1, HeadDim = Width },
        };
        using var attention = new Attention(spec, 0, "a", new SharedWeights(new Dictionary<string, Tensor>
        {
            ["a.q_proj.weight"] = all.narrow(0, 0, Queries),
            ["a.k_proj.weight"] = all.narrow(0, Queries, Keys),
            ["a.v_proj.weight"] = all.narrow(0, Queries + Keys, Keys),
            ["a.o_proj.weight"] = all.narrow(1, 0, Queries),
        }));
        Tensor? mask = hasMask ? ones([2, 1, Tokens, Tokens], ScalarType.Bool).tril().triu(-5) : null;
        Tensor turned = zeros([1, Tokens, 1, Width], ScalarType.Float16);

        Tensor y = attention.Forward(x, new AttentionInputs((ones_like(turned), turned), mask, null)).narrow(2, 0, Queries);

        Tensor[] parts = [.. Wide(x).split([Queries, Keys, Keys], -1)];
        (Tensor q, Tensor k, Tensor v) = (Heads(parts[0]), Heads(parts[1]), Heads(parts[2]));
        Tensor hidden = (mask ?? ones([1, 1, Tokens, Tokens], ScalarType.Bool).tril()).logical_not();
        Tensor weights = (q.matmul(k.transpose(2, 3)) / Math.Sqrt(Width)).masked_fill(hidden, double.NegativeInfinity).softmax(-1);
        IsRounded(y, weights.matmul(v).transpose(1, 2).reshape(2, Tokens, Queries));

        static Tensor Heads(Tensor of) => of.view(2, Tokens, -1, Width).transpose(1, 2);
    }

    /// <summary>
    /// A decoding step's few texts stay libtorch's. A text's tokens are widened however few they are, with gradients and without: gradient
    /// checkpointing computes them both ways.
    /// </summary>
    [TestMethod]
    [DataRow(true, 1, 5)]
    [DataRow(true, 4, 2)]
    [DataRow(true, 9, 1)]
    [DataRow(false, 8, 1)]
    [DataRow(false, 1, 1)]
    public void ADecodingStepIsKnownByItsShape(bool isWidened, int texts, int tokens)
    {
        using var scope = NewDisposeScope();
        Tensor x = zeros([texts, tokens, 24], ScalarType.Float16), w = zeros([16, 24], ScalarType.Float16);
        RequireWidened(x, w);

        Assert.IsTrue(WideLinear.Fits(x, w));
        using var noGrad = no_grad();
        Assert.AreEqual(isWidened, WideLinear.Fits(x, w));
    }

    /// <summary>A bias that trains has the sum of the gradients.</summary>
    [TestMethod]
    public void ABiasMayTrain()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(6);
        Tensor x = Random(ScalarType.Float16, generator, 40, 24).requires_grad_(), w = Random(ScalarType.Float16, generator, 16, 24);
        Tensor dy = Random(ScalarType.Float16, generator, 40, 16);
        RequireWidened(x, w);
        var bias = new Parameter(Random(ScalarType.Float32, generator, 16));

        Tensor y = InAPass(() => WideLinear.Apply(x, w, bias), dy);

        IsRounded(y, Wide(x).mm(Wide(w).t()) + Wide(bias));
        IsRounded(bias.grad!, Wide(dy).sum(dim: 0));
        IsRounded(x.grad!, Wide(dy).mm(Wide(w)));
    }

    /// <summary>Where nobody opened a pass gradients are libtorch's, which may be differentiated again.</summary>
    [TestMethod]
    public void OutsideOfAPassGradientsHaveGradients()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4);
        Tensor x = Random(ScalarType.Float16, generator, 30, 24).requires_grad_(), w = Random(ScalarType.Float16, generator, 16, 24);
        RequireWidened(x, w);

        Tensor y = WideLinear.Apply(x, w, null);
        Tensor dx = grad([y.square().sum()], [x], retain_graph: true, create_graph: true)[0];
        Tensor second = grad([dx.sum()], [x])[0];

        // ∂/∂x of the sum of 2 x Wᵀ W.
        Tensor expected = (2 * Wide(w).t().mm(Wide(w))).sum(dim: 0).expand(30, 24);
        Assert.IsLessThanOrEqualTo(3e-3, ((Wide(second) - expected).norm() / expected.norm()).item<double>());
    }

    /// <summary>
    /// A whole step of SORSA, some projections without an adapter, against the same weights in float32: roundings of 11 bits come between,
    /// a dozen for each of two layers. Checkpointed to the same bits.
    /// </summary>
    [TestMethod]
    [DataRow("q_proj", "v_proj")]
    [DataRow("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")]
    public void AStepsGradientsAreThoseOfFloat32(params string[] targets)
    {
        using var scope = NewDisposeScope();
        RequireWidened(zeros(10, 1, ScalarType.Float16), zeros(1, 1, ScalarType.Float16));
        Tensor[] narrow = Gradients(ScalarType.Float16, false), again = Gradients(ScalarType.Float16, true);
        Tensor[] wide = Gradients(ScalarType.Float32, false);

        for (int i = 0; i < wide.Length; i++)
        {
            Assert.IsLessThanOrEqualTo(0.02, ((Wide(narrow[i]) - Wide(wide[i])).norm() / Wide(wide[i]).norm()).item<double>());
            Assert.IsTrue(narrow[i].equal(again[i]).all().item<bool>());
        }

        Tensor[] Gradients(ScalarType type, bool checkpointing)
        {
            using CausalLM model = TinyModel.Create(type, stored: ScalarType.Float16);
            AdapterSet adapters = TinyModel.Adapt(model, targets: targets);
            model.GradientCheckpointing = checkpointing;
            model.train();
            using Batch batch = Batch.Of(TinyModel.Rows(3), 0, TestDevice.Current);
            SupervisedLoss.Backward(model, batch, 1.0 / batch.LabelCount, 512).Dispose();
            return [.. adapters.Trainable.Select(named => named.Value.grad!.clone())];
        }
    }

    [TestMethod]
    [DoNotParallelize]
    public void NoTensorIsLeft()
    {
        using Tensor x = ones([30, 40], ScalarType.Float16, requires_grad: true), w = ones(50, 40, ScalarType.Float16);
        using Tensor dy = ones(30, 50, ScalarType.Float16);

        // What earlier tests left to the collector would lower the count when it is collected.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;

        using (NewDisposeScope())
        using (var pass = new BackwardPass())
        {
            pass.Run(WideLinear.Apply(x, w, null), dy);
            x.grad!.Dispose();
            x.grad = null;
        }

        using (no_grad())
        {
            WideLinear.Apply(x, w, null).Dispose();
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    private static Tensor InAPass(Func<Tensor> compute, Tensor gradient)
    {
        using var pass = new BackwardPass();
        Tensor y = compute(), output = y.detach();
        pass.Run(y, gradient);
        return output;
    }

    private static void RequireWidened(Tensor x, Tensor weight)
    {
        if (!WideLinear.Fits(x, weight))
        {
            Assert.Inconclusive($"This processor multiplies {x.dtype} itself.");
        }
    }

    /// <summary>The exact values rounded once to the type, but for what sums in float32 leave.</summary>
    private static void IsRounded(Tensor actual, Tensor exact)
    {
        double rounding = actual.dtype switch
        {
            ScalarType.Float16 => Math.ScaleB(1, -11),
            ScalarType.BFloat16 => Math.ScaleB(1, -8),
            _ => Math.ScaleB(1, -24),
        };
        TensorAssert.IsWithin(actual, exact, (exact.abs() * rounding) + (exact.abs().max() * Sums));
    }

    private static Tensor Random(ScalarType type, Generator generator, params long[] shape) =>
        randn(shape, ScalarType.Float32, generator: generator).to(type);

    private static Tensor Wide(Tensor tensor) => tensor.detach().to(ScalarType.Float64);
}
