using System.Runtime.InteropServices;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.AdaLora;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Dora;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Pissa;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Parameter = TorchSharp.Modules.Parameter;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>NF4 against bitsandbytes' own bytes, and methods over a quantised base.</summary>
[TestClass]
[TestCategory("Nf4")]
[DoNotParallelize]
[TestCategory("Numeric")]
public sealed class Nf4Tests
{
    private static readonly string Golden = TestData.Golden("numeric", "nf4.safetensors");

    public static IEnumerable<object[]> Matrices
    {
        get
        {
            if (!File.Exists(Golden))
            {
                return [["none"]];
            }

            using Checkpoint golden = Checkpoint.OpenFile(Golden);
            return [.. golden.Names.Where(name => name.EndsWith(".weight", StringComparison.Ordinal))
                .Select(name => new object[] { name[..^".weight".Length] })];
        }
    }

    [TestMethod]
    [DynamicData(nameof(Matrices))]
    public void BytesAndCodesAreThePeers(string name)
    {
        using Checkpoint golden = Checkpoint.OpenFile(TestData.Require(Golden));
        Tensor weight = golden.Tensors[$"{name}.weight"], expected = golden.Tensors[$"{name}.double.dequantised"];
        float[] scales = Floats($"{name}.absmax");

        using var scope = NewDisposeScope();
        using var quantized = new Nf4Weight(weight);
        (Tensor codes, Tensor scaleScales, Tensor offset) = quantized.ScaleParts;

        CollectionAssert.AreEqual(
            golden.Tensors[$"{name}.packed"].cpu().data<byte>().ToArray(), quantized.Packed.cpu().data<byte>().ToArray());
        CollectionAssert.AreEqual(scales, Nf4Quantizer.Quantize(weight).Scales.cpu().data<float>().ToArray());
        CollectionAssert.AreEqual(golden.Tensors[$"{name}.double.codes"].cpu().data<byte>().ToArray(), codes.cpu().data<byte>().ToArray());
        Assert.AreEqual(Floats($"{name}.double.offset")[0], offset.cpu().item<float>(), 1e-6f * scales.Max());
        Assert.AreEqual(Floats($"{name}.double.absmax").Length, scaleScales.numel());
        IsAsValueByValue(weight, quantized);
        Assert.IsLessThanOrEqualTo(2e-6 * Largest(weight), Largest(expected - quantized.Dense(ScalarType.Float32)));

        float[] Floats(string tensor) => golden.Tensors[tensor].cpu().data<float>().ToArray();
    }

    /// <summary>Shapes with and without whole blocks, wide and narrow spreads, blocks of zeros, small and large magnitudes.</summary>
    [TestMethod]
    public void TenThousandMatricesAreAsValueByValue()
    {
        using var generator = new Generator(5);
        var random = new Random(5);
        for (int i = 0; i < 10_000; i++)
        {
            using var scope = NewDisposeScope();
            (int rows, int columns) = (random.Next(1, 40), random.Next(1, 80));
            Tensor weight = randn([rows, columns], generator: generator).OnDevice() * Math.Pow(10, random.Next(-20, 20));
            if (i % 3 == 0)
            {
                weight *= exp(randn([rows, 1], generator: generator).OnDevice() * 4);
            }

            if (i % 5 == 0)
            {
                weight[..(rows / 2)] = 0;
            }

            using var quantized = new Nf4Weight(weight);
            IsAsValueByValue(weight, quantized);
        }
    }

    /// <summary>More than one slice, the last of them cut short, and every type that a weight can have.</summary>
    [TestMethod]
    [DataRow(ScalarType.Float32)]
    [DataRow(ScalarType.BFloat16)]
    [DataRow(ScalarType.Float16)]
    [DataRow(ScalarType.Float64)]
    public void SlicesOfALargeMatrixFitTogether(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(6);
        const int Columns = 703;
        long rows = 1 + ((3 * Nf4Slices.SizeOn(TestDevice.Current)) / Columns);
        Tensor weight = randn([rows, Columns], generator: generator).OnDevice().to(type);
        using var quantized = new Nf4Weight(weight.t());

        IsAsValueByValue(weight.t().to(ScalarType.Float32).contiguous(), quantized);
        foreach (ScalarType dense in new[] { ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16, ScalarType.Float64 })
        {
            Tensor expected = quantized.Dense(ScalarType.Float32).to(dense);
            Assert.AreEqual(dense, quantized.Dense(dense).dtype);
            Assert.IsTrue(quantized.Dense(dense).eq(expected).all().item<bool>());
            Assert.IsTrue(quantized.ByTensors(dense).eq(expected).all().item<bool>());
        }
    }

    /// <summary>One set of tables, however many weights there are, and none without them.</summary>
    [TestMethod]
    public void TablesGoWithTheLastWeight()
    {
        using Tensor weight = ones(8, 64).OnDevice();
        Collect();
        long before = Tensor.TotalCount;
        var first = new Nf4Weight(weight);
        long one = Tensor.TotalCount - before;
        var second = new Nf4Weight(weight);
        long two = Tensor.TotalCount - before;

        // Codes, the scales' codes, scales and offset.
        Assert.AreEqual(4, two - one);
        first.Dispose();
        first.Dispose();
        using (second.Dense(ScalarType.Float32))
        {
            Assert.AreEqual(one + 1, Tensor.TotalCount - before);
        }

        second.Dispose();
        Assert.AreEqual(before, Tensor.TotalCount);
    }

    /// <summary>What training stands on is the one residual that was quantised to choose it.</summary>
    [TestMethod]
    [DataRow("sorsa", 1)]
    [DataRow("sorsa", 3)]
    [DataRow("pissa", 1)]
    [DataRow("pissa", 3)]
    public void TheResidualIsThatOfTheStartItself(string name, int rounds)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Linear linear = nn.Linear(70, 33).to(TestDevice.Current);
        AdapterMethod method = name == "sorsa"
            ? new SorsaMethod
            {
                Rank = 3,
                Scale = 2,
                Quantized = true,
                QuantizationRounds = rounds,
                Decomposition = Decomposition.Drawn(generator),
            }
            : new PissaMethod
            {
                Rank = 3,
                Scale = 2,
                Quantized = true,
                QuantizationRounds = rounds,
                Decomposition = Decomposition.Drawn(generator),
            };
        var adapter = (LowRankAdapter)method.Create("q_proj", linear);
        (Tensor b, Tensor a) = adapter.StartFactors()!.Value;

        Tensor rest = linear.weight.to(ScalarType.Float64) - b.to(ScalarType.Float64).mm(a.to(ScalarType.Float64));
        using var expected = new Nf4Weight(rest);
        Tensor initial = WorkingPrecision.Product(b, a).add(expected.Dense(ScalarType.Float32)).to(ScalarType.Float32);

        // A GPU's large matrices are float32: one rounding.
        double limit = TestDevice.Current.type == DeviceType.CPU ? 0 : Math.Pow(2, -23) * Largest(initial);
        Assert.IsLessThanOrEqualTo(limit, Largest(initial - adapter.InitialWeight()));
        adapter.Free();
    }

    [TestMethod]
    public void CodesAreThePeers()
    {
        using Checkpoint golden = Checkpoint.OpenFile(TestData.Require(Golden));

        CollectionAssert.AreEqual(golden.Tensors["code"].cpu().data<float>().ToArray(), Nf4Code.Values.ToArray());
        CollectionAssert.AreEqual(golden.Tensors["double.map"].cpu().data<float>().ToArray(), Nf4Code.ScaleValues.ToArray());
    }

    [TestMethod]
    [DataRow(1, 1)]
    [DataRow(1, 63)]
    [DataRow(3, 43)]
    [DataRow(2, 64)]
    [DataRow(37, 129)]
    public void NoValueIsFurtherThanHalfAGap(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor weight = randn([rows, columns], generator: generator).OnDevice() * 0.05;
        using var quantized = new Nf4Weight(weight);

        Tensor dense = quantized.Dense(ScalarType.Float64);
        using var onHost = new Nf4Weight(weight.cpu());
        Assert.AreEqual(0, Largest(onHost.ByLoop(ScalarType.Float32) - quantized.ByTensors(ScalarType.Float32).cpu()));

        // Half the largest gap between two codes, and what 8 bits lose of the scale.
        double[] codes = [.. Nf4Code.Values.ToArray().Select(value => (double)value)];
        double gap = codes.Zip(codes[1..], (lower, upper) => upper - lower).Max() / 2;
        CollectionAssert.AreEqual(new long[] { rows, columns }, dense.shape);
        Assert.IsLessThanOrEqualTo(gap * Largest(weight) + 0.02 * Largest(weight), Largest(weight - dense));

        // Half a byte a value, a byte a block, four bytes for every 256 blocks, and the offset.
        long values = (long)rows * columns, blocks = (values + 63) / 64;
        Assert.AreEqual(((values + 1) / 2) + blocks + (4 * (((blocks + 255) / 256) + 1)), quantized.Size);
    }

    [TestMethod]
    public void ZeroStaysZeroAndTheWeightItself()
    {
        using var scope = NewDisposeScope();
        Tensor weight = zeros(5, 70).OnDevice();
        using var quantized = new Nf4Weight(weight);

        Assert.AreEqual(0, Largest(quantized.Dense(ScalarType.Float32)));
        Assert.AreEqual(0, Largest(weight));
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.NegativeInfinity)]
    public void AValueThatIsNotFiniteIsRefused(float value)
    {
        using var scope = NewDisposeScope();
        Tensor weight = ones(5, 70).OnDevice();
        weight[3, 4] = value;

        Assert.Contains("not finite", Assert.ThrowsExactly<ArithmeticException>(() => new Nf4Weight(weight)).Message);
    }

    [TestMethod]
    public void AHundredReadingsLeaveNoTensorBehind()
    {
        using var quantized = new Nf4Weight(ones(64, 70).OnDevice());
        Collect();
        long before = Tensor.TotalCount;

        for (int i = 0; i < 100; i++)
        {
            using Tensor dense = quantized.Dense(ScalarType.Float32);
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    /// <summary>What earlier tests left to the collector must not go while tensors are counted.</summary>
    private static void Collect()
    {
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    /// <summary>Taking the leading part out first leaves less to lose, and taking turns loses less still.</summary>
    [TestMethod]
    [DataRow(1.0)]
    [DataRow(2.0)]
    public void TheResidualLosesLessAndRoundsLessStill(double scale)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor spectrum = diag(pow(tensor(0.93f).OnDevice(), arange(64, ScalarType.Float32).OnDevice()));
        Tensor weight = randn([96, 64], generator: generator).OnDevice().mm(spectrum) * 0.1;
        Linear linear = nn.Linear(new Parameter(weight.clone(), requires_grad: false));

        QuantizationError once = Error(1), turns = Error(5);

        using var plain = new Nf4Weight(weight);
        Assert.IsLessThan(QuantizationError.Relative(weight, plain, product: null), once.Residual!.Value);
        Assert.AreEqual(once.Residual, once.Initial);
        Assert.IsLessThan(once.Initial, turns.Initial);
        Assert.AreEqual(once.Residual, turns.Residual);
        Assert.IsNull(once.Plain);

        QuantizationError Error(int rounds)
        {
            using var decomposition = new Generator(2);
            var method = new SorsaMethod
            {
                Rank = 16,
                Scale = scale,
                Quantized = true,
                QuantizationRounds = rounds,
                Decomposition = Decomposition.Drawn(decomposition),
            };
            Adapter adapter = method.Create("q_proj", linear);
            QuantizationError error = adapter.QuantizationError!;

            // The figure is the start's own distance.
            double distance = ((weight - adapter.InitialWeight()).norm() / weight.norm()).item<float>();
            Assert.AreEqual(distance, error.Initial, 1e-5);
            return error;
        }
    }

    [TestMethod]
    [DataRow("sorsa")]
    [DataRow("lora")]
    [DataRow("dora")]
    [DataRow("pissa")]
    [DataRow("adalora")]
    public void OverAQuantizedBaseForwardGradientAndMergeAgree(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Linear linear = nn.Linear(70, 33).to(TestDevice.Current);
        AdapterMethod method = name switch
        {
            "sorsa" => new SorsaMethod { Rank = 3, Quantized = true, Decomposition = Decomposition.Drawn(generator) },
            "pissa" => new PissaMethod { Rank = 3, Quantized = true, Decomposition = Decomposition.Drawn(generator) },
            "adalora" => new AdaLoraMethod
            {
                Rank = 3,
                Alpha = 6,
                Gamma = 0,
                Budget = new RankBudget(),
                TotalSteps = 9,
                Quantized = true,
                Initialization = generator,
            },
            "dora" => new DoraMethod { Rank = 3, Scale = 2, Quantized = true, Initialization = generator },
            _ => new LoraMethod { Rank = 3, Scale = 2, Quantized = true, Initialization = generator },
        };
        Adapter adapter = method.Create("q_proj", linear);
        Tensor x = randn([4, 70], generator: generator).OnDevice().requires_grad_();

        Tensor output = adapter.call(x);
        output.sum().backward();
        Tensor slope = x.grad!.clone();
        x.grad = null;
        Tensor expected = nn.functional.linear(x, adapter.MergedWeight(), linear.bias);
        expected.sum().backward();

        Assert.IsFalse(adapter.Keeps(linear.weight));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest(expected - output));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-4), Largest(x.grad! - slope));
        Assert.AreEqual(
            adapter.QuantizationError!.Initial,
            ((linear.weight - adapter.MergedWeight()).norm() / linear.weight.norm()).item<float>(),
            1e-5);
        Assert.IsGreaterThan(0.01, adapter.QuantizationError.Initial);
    }

    [TestMethod]
    public void QSorsaLearns()
    {
        using CausalLM model = TinyModel.Create();
        using var generator = new Generator(5);
        var method = new SorsaMethod { Rank = 4, Gamma = 4e-4, Quantized = true, Decomposition = Decomposition.Drawn(generator) };
        AdapterSet adapters = AdapterSet.Inject(model, TinyModel.Targets, method);
        var log = new List<SorsaTrainingProgress>();
        SupervisedRows rows = new(TinyModel.Rows(4));

        new TrainingLoop(model, adapters, TinyModel.Settings with { LearningRate = 0.01, WarmupRatio = 0 })
            .Run(rows.Steps(20), 20, null, log.Add, CancellationToken.None);
        MergeReport report = MergeReport.Of(adapters, ScalarType.Float32);
        adapters.Merge(ScalarType.Float32);

        Assert.IsLessThan(0.6 * log[0].Loss, log[^1].Loss);
        Assert.IsTrue(report.Matrices.All(
            matrix => matrix.Nf4Error is null && matrix.Nf4ResidualError >= matrix.Nf4InitialError));
        Assert.AreEqual(log[^1].Loss, SupervisedLoss.Mean(model, rows.Rows, 4, 0, 512), 0.5 * log[^1].Loss);
    }

    private static void IsAsValueByValue(Tensor weight, Nf4Weight quantized)
    {
        (byte[] packed, float[] scales) = Nf4Reference.Quantize(MemoryMarshal.Cast<byte, float>(weight.cpu().bytes));
        (byte[] codes, float[] scaleScales, float offset) = Nf4Reference.QuantizeScales(scales);

        Assert.IsTrue(quantized.Packed.cpu().bytes.SequenceEqual(packed));
        Assert.IsTrue(quantized.ScaleParts.Codes.cpu().bytes.SequenceEqual(codes));
        Assert.IsTrue(MemoryMarshal.Cast<byte, float>(quantized.ScaleParts.Scales.cpu().bytes).SequenceEqual(scaleScales));
        Assert.AreEqual(offset, quantized.ScaleParts.Offset.item<float>());
    }

    private static double Largest(Tensor tensor) => tensor.abs().max().to(ScalarType.Float64).item<double>();

    private sealed record SupervisedRows(Sorsa.Data.SupervisedExample[] Rows)
    {
        public IEnumerable<IReadOnlyList<IReadOnlyList<Sorsa.Data.SupervisedExample>>> Steps(int count) =>
            Enumerable.Repeat(new[] { Rows }, count);
    }
}
