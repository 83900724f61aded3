using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Dora;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Adapters.Weights;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Generation;

/// <summary>Adapters that are not merged decode by products of few rows, and train as they did.</summary>
[TestClass]
[TestCategory("Generation")]
[TestCategory("Adapters")]
public sealed class UnmergedAdapterTests
{
    private const int In = 72, Out = 56, Rank = 5;

    private static readonly Dictionary<string, Func<Generator, AdapterMethod>> s_methods = new(StringComparer.Ordinal)
    {
        ["SORSA"] = start => new SorsaMethod { Rank = 4, Gamma = 0, Decomposition = Decomposition.Drawn(start) },
        ["LoRA"] = start => new LoraMethod { Rank = 4, Scale = 2, Initialization = start },
        ["QLoRA"] = start => new LoraMethod { Rank = 4, Scale = 2, Initialization = start, Quantized = true },
        ["DoRA"] = start => new DoraMethod { Rank = 4, Scale = 2, Initialization = start },
        ["full"] = _ => new WeightMethod { Everything = true },
    };

    public static IEnumerable<object[]> Methods => s_methods.Keys.Select(name => new object[] { name });

    /// <summary>y = x Wᵀ + b + (x Aᵀ) Bᵀ, for as many rows as decoding has, and a row is what it is alone.</summary>
    [TestMethod]
    [DataRow(1, false, false)]
    [DataRow(3, true, false)]
    [DataRow(8, true, true)]
    [DataRow(16, false, true)]
    public void TheProductIsItsFormula(int rows, bool hasBias, bool quantized)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (Tensor x, Tensor w, Tensor? bias, Tensor b, Tensor a) = Drawn(rows, hasBias);
        using FrozenWeight weight = quantized ? new Nf4Weight(w) : new PlainWeight(w.alias());

        Tensor y = LowRankFunction.Apply(x, weight, bias, b, a);

        Tensor dense = weight.Dense(ScalarType.Float32);
        Tensor exact = nn.functional.linear(Exact(x), Exact(dense), bias is null ? null : Exact(bias))
            + Exact(x).matmul(Exact(a).t()).matmul(Exact(b).t());
        CollectionAssert.AreEqual(new long[] { rows, 1, Out }, y.shape);

        // Less than a hundred summands of a size of ten at most, each rounded to 24 bits.
        Assert.IsLessThan(1e-4, (Exact(y) - exact).abs().max().item<double>());
        for (int row = 0; row < rows; row++)
        {
            Assert.IsTrue(LowRankFunction.Apply(x[row], weight, bias, b, a).equal(y[row]).all().item<bool>(), $"row {row}");
        }
    }

    /// <summary>
    /// In bfloat16, up to eight rows by the product of few rows and beyond by libtorch's: factors, h, h Bᵀ, x Wᵀ + b and their sum are
    /// each rounded to 8 bits.
    /// </summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(8)]
    [DataRow(9)]
    public void InBFloat16ItIsTheFormulaRounded(int rows)
    {
        const double HalfUnit = 1.0 / 512;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (Tensor x, Tensor w, Tensor? bias, Tensor b, Tensor a) = Drawn(rows, hasBias: true);
        (x, w, bias) = (x.to(ScalarType.BFloat16), w.to(ScalarType.BFloat16), bias!.to(ScalarType.BFloat16));
        using FrozenWeight weight = new PlainWeight(w.alias());
        Assert.AreEqual(rows <= 8, FewRowsProduct.Fits(x, w));

        Tensor y = LowRankFunction.Apply(x, weight, bias, b, a);

        Tensor plain = nn.functional.linear(Exact(x), Exact(w), Exact(bias)), h = Exact(x).matmul(Exact(a).t());
        Tensor adapted = h.matmul(Exact(b).t()), exact = plain + adapted;
        Tensor factors = Exact(x).abs().matmul(Exact(a).abs().t()).matmul(Exact(b).abs().t());
        Tensor limit = (plain.abs() + adapted.abs() + exact.abs() + (3 * factors)) * HalfUnit * 1.05;
        Assert.AreEqual(ScalarType.BFloat16, y.dtype);
        Assert.IsTrue(((Exact(y) - exact).abs() <= limit).all().item<bool>());
    }

    /// <summary>A product that is recorded for its gradient is libtorch's, bit for bit, however few rows it has.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void ARecordedProductIsLibtorchs(bool quantized)
    {
        using var scope = NewDisposeScope();
        (Tensor x, Tensor w, Tensor? bias, Tensor b, Tensor a) = Drawn(3, hasBias: true);
        using FrozenWeight weight = quantized ? new Nf4Weight(w) : new PlainWeight(w.alias());
        Tensor expected;
        using (no_grad())
        {
            Tensor flat = x.view(3, In);
            expected = addmm(bias!, flat, weight.Dense(ScalarType.Float32).t(), 1, 1).addmm_(flat.mm(a.t()), b.t());
        }

        // In NF4, or with a mask, which changes nothing here, the gradient is the library's own.
        Tensor y = LowRankFunction.Apply(
            x, weight, bias, b.requires_grad_(), a.requires_grad_(), quantized ? null : ones_like(x));

        Assert.IsTrue(y.requires_grad);
        Assert.IsTrue(y.detach().view(3, Out).equal(expected).all().item<bool>());
    }

    /// <summary>Texts of several prompts together: what the merged weights write.</summary>
    [TestMethod]
    [DynamicData(nameof(Methods))]
    public void TheTextIsThatOfTheMergedModel(string method)
    {
        using CausalLM model = TinyModel.Create();
        using var start = new Generator(5);
        AdapterSet adapters = AdapterSet.Inject(model, TinyModel.Targets, s_methods[method](start));
        using (no_grad())
        using (var moved = new Generator(6))
        {
            foreach ((_, Parameter weight) in adapters.Trainable)
            {
                using Tensor step = randn(weight.shape, weight.dtype, generator: moved).Scale(0.05);
                weight.Accumulate(step);
            }
        }

        model.eval();
        int[][] unmerged = Texts(model);
        adapters.Merge(ScalarType.Float32);
        int[][] merged = Texts(model);

        for (int row = 0; row < merged.Length; row++)
        {
            CollectionAssert.AreEqual(merged[row], unmerged[row], $"row {row}");
        }

        Assert.IsGreaterThan(1, merged.Select(ids => string.Join(' ', ids)).Distinct(StringComparer.Ordinal).Count());
    }

    private static int[][] Texts(CausalLM model)
    {
        var generator = new TokenGenerator(
            new CachedModel(model), new GenerationOptions { MaxNewTokens = 20, BatchSize = 4 }, endTokens: []);
        GenerationRow[] rows = [.. new int[][] { [1, 2, 3], [7], [30, 12, 5, 9, 2] }.Select((prompt, i) => generator.CreateRow(prompt, i))];
        generator.Complete(rows, CancellationToken.None);
        return [.. rows.Select(row => row.NewIds.ToArray())];
    }

    private static (Tensor X, Tensor W, Tensor? Bias, Tensor B, Tensor A) Drawn(int rows, bool hasBias)
    {
        using var generator = new Generator(3);
        return (
            randn([rows, 1, In], generator: generator), randn([Out, In], generator: generator),
            hasBias ? randn([Out], generator: generator) : null, randn([Out, Rank], generator: generator),
            randn([Rank, In], generator: generator));
    }

    private static Tensor Exact(Tensor tensor) => tensor.to(ScalarType.Float64);
}
