using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

[TestClass]
[TestCategory("Sorsa")]
[TestCategory("Numeric")]
public sealed class SorsaLinearTests
{
    private const int In = 7;
    private const int Out = 5;
    private const int Rank = 3;

    /// <summary>Input shape, bias, c, dropout mask, whether the input wants a gradient.</summary>
    public static IEnumerable<object[]> Forms =>
    [
        [Shape(4, In), false, 1.0, false, true],
        [Shape(4, In), true, 1.0, false, true],
        [Shape(2, 3, In), true, 1.0, false, true],
        [Shape(2, 3, In), true, 2.5, false, true],
        [Shape(2, 3, In), false, 0.5, true, true],
        [Shape(4, In), true, 2.5, true, true],
        [Shape(2, 3, In), true, 2.5, true, false],
        [Shape(4, In), false, 1.0, false, false],
        [Shape(1, 1, In), true, 2.5, true, true],
    ];

    [TestMethod]
    [DynamicData(nameof(Forms))]
    public void TheFunctionIsItsFormulaAndTheGradientAutogradsOfIt(long[] shape, bool bias, double scale, bool dropped, bool inputTrains)
    {
        using var scope = NewDisposeScope();
        Parts parts = Parts.Random(ScalarType.Float64, bias);
        Tensor x = Uniform(shape, inputTrains), mask = Mask(shape), weights = Uniform([.. shape[..^1], Out], false);

        Tensor output = parts.Function(x, scale, dropped ? mask : null);
        (output * weights).sum().backward();
        Tensor[] actual = Gradients(parts, inputTrains ? x : null);
        Tensor expected = parts.Formula(x, scale, dropped ? mask : null);
        (expected * weights).sum().backward();

        CollectionAssert.AreEqual(expected.shape, output.shape);
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-14), Largest(expected - output));
        foreach ((Tensor wanted, Tensor got) in Gradients(parts, inputTrains ? x : null).Zip(actual))
        {
            CollectionAssert.AreEqual(wanted.shape, got.shape);
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-13), Largest(wanted - got));
        }

        Assert.IsNull(parts.Residual.grad);
        Assert.IsNull(parts.Bias?.grad);
    }

    [TestMethod]
    [DynamicData(nameof(Forms))]
    public void TheGradientIsTheFiniteDifference(long[] shape, bool bias, double scale, bool dropped, bool inputTrains)
    {
        using var scope = NewDisposeScope();
        Parts parts = Parts.Random(ScalarType.Float64, bias);
        Tensor x = Uniform(shape, inputTrains), weights = Uniform([.. shape[..^1], Out], false);
        Tensor? mask = dropped ? Mask(shape) : null;
        Loss().backward();
        Tensor[] gradients = Gradients(parts, inputTrains ? x : null);
        Tensor[] variables = inputTrains ? [parts.U, parts.S, parts.Vt, x] : [parts.U, parts.S, parts.Vt];

        using var noGrad = no_grad();
        foreach ((Tensor variable, Tensor gradient) in variables.Zip(gradients))
        {
            Tensor flat = variable.view(-1), slopes = gradient.reshape(-1);
            for (long i = 0; i < flat.numel(); i++)
            {
                const double Step = 1e-5;
                double up = Moved(flat, i, Step), down = Moved(flat, i, -Step);
                Assert.AreEqual((up - down) / (2 * Step), slopes[i].item<double>(), 1e-8);
            }
        }

        Tensor Loss() => (parts.Function(x, scale, mask).square() * weights).sum();

        double Moved(Tensor flat, long i, double by)
        {
            using var inner = NewDisposeScope();
            flat[i].add_(by);
            double loss = Loss().item<double>();
            flat[i].sub_(by);
            return loss;
        }
    }

    [TestMethod]
    public void AHalfPrecisionInputMeetsFloat32Adapters()
    {
        using var scope = NewDisposeScope();
        Parts exact = Parts.Random(ScalarType.Float32, bias: true);
        Tensor x = Uniform([2, 3, In], true).detach().to(ScalarType.BFloat16).requires_grad_();
        Parts half = exact with
        {
            Residual = exact.Residual.to(ScalarType.BFloat16),
            Bias = new Parameter(exact.Bias!.detach().to(ScalarType.BFloat16), requires_grad: false),
        };

        Tensor output = half.Function(x, 2, null);
        output.to(ScalarType.Float32).sum().backward();
        Tensor[] actual = Gradients(exact, x);
        Tensor wide = x.detach().to(ScalarType.Float32).requires_grad_();
        Tensor expected = exact.Formula(wide, 2, null);
        expected.sum().backward();

        Assert.AreEqual(ScalarType.BFloat16, output.dtype);
        Assert.IsLessThanOrEqualTo(0.02, Distance(expected, output));
        ScalarType[] types = [ScalarType.Float32, ScalarType.Float32, ScalarType.Float32, ScalarType.BFloat16];
        CollectionAssert.AreEqual(types, actual.Select(gradient => gradient.dtype).ToArray());
        foreach ((Tensor wanted, Tensor got) in Gradients(exact, wide).Zip(actual))
        {
            Assert.IsLessThanOrEqualTo(0.02, Distance(wanted, got));
        }
    }

    [TestMethod]
    [DataRow(24, 40, 1.0, true)]
    [DataRow(40, 24, 4.0, false)]
    [DataRow(330, 300, 2.0, true)]
    public void AtTheStartItIsTheProjection(int rows, int columns, double scale, bool bias)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(2);
        Linear linear = nn.Linear(columns, rows, bias).to(TestDevice.Current);
        byte[] before = linear.weight.detach().cpu().bytes.ToArray();
        Tensor x = randn(3, 6, columns).OnDevice();
        var adapter = (SorsaLinear)new SorsaMethod { Rank = 6, Scale = scale, Decomposition = Decomposition.Drawn(generator) }
            .Create("q_proj", linear);

        Tensor expected = linear.call(x).detach();

        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Distance(expected, adapter.call(x).detach()));
        using (no_grad())
        {
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Distance(expected, adapter.call(x)));
        }

        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(linear.weight.detach() - adapter.MergedWeight()));
        Assert.IsTrue(linear.weight.detach().cpu().bytes.SequenceEqual(before));
        Assert.AreSame(linear.bias, adapter.Bias);
        Assert.IsTrue(adapter.Trainable.All(named => named.Value.requires_grad && named.Value.dtype == ScalarType.Float32));
    }

    [TestMethod]
    public void AHalfPrecisionWeightIsSplitInFloat32()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(2);
        Linear linear = nn.Linear(24, 40, hasBias: false, dtype: ScalarType.BFloat16).to(TestDevice.Current);

        var adapter = (SorsaLinear)new SorsaMethod { Rank = 6, Decomposition = Decomposition.Drawn(generator) }.Create("q_proj", linear);

        Assert.IsTrue(adapter.Trainable.All(named => named.Value.dtype == ScalarType.Float32));
        Tensor merged = adapter.MergedWeight();
        Assert.AreEqual(ScalarType.Float32, merged.dtype);
        Assert.IsLessThanOrEqualTo(1.0 / 256, Distance(linear.weight.to(ScalarType.Float32), merged));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-5), Largest(adapter.U.t().mm(adapter.U) - eye(6).OnDevice()));
    }

    [TestMethod]
    [DataRow(1.0)]
    [DataRow(2.5)]
    public void TheMergedWeightIsResidualAndTriplets(double scale)
    {
        using var scope = NewDisposeScope();
        Parts parts = Parts.Random(ScalarType.Float64, bias: false);
        var adapter = new SorsaLinear(
            new PlainWeight(parts.Residual.clone()),
            parts.U.detach().clone(), parts.S.detach().clone(), parts.Vt.detach().clone(),
            null, scale);

        Tensor merged = adapter.MergedWeight();

        for (int i = 0; i < Out; i++)
        {
            for (int j = 0; j < In; j++)
            {
                double expected = parts.Residual[i, j].item<double>();
                for (int k = 0; k < Rank; k++)
                {
                    expected += scale * parts.U[i, k].item<double>() * parts.S[k].item<double>() * parts.Vt[k, j].item<double>();
                }

                Assert.AreEqual(expected, merged[i, j].item<double>(), 1e-14);
            }
        }
    }

    /// <summary>With identities for U, s and Vt the adapter's part is the dropped input itself.</summary>
    [TestMethod]
    public void DropoutActsOnTheAdaptersInputInTrainingOnly()
    {
        using var scope = NewDisposeScope();
        const double Share = 0.25;
        var adapter = new SorsaLinear(
            new PlainWeight(eye(50).OnDevice() * 3), eye(50).OnDevice(), ones(50).OnDevice(), eye(50).OnDevice(), null)
        {
            Dropout = new InputDropout(Share, seed: 4),
        };
        Tensor x = ones(200, 50).OnDevice().requires_grad_();

        Tensor adapted = adapter.call(x) - (x * 3);
        adapted.sum().backward();

        float[] values = adapted.detach().flatten().cpu().data<float>().ToArray();
        Assert.IsTrue(values.All(value => Math.Abs(value) < 1e-6 || Math.Abs(value - (1 / (1 - Share))) < 1e-5));
        Assert.AreEqual(Share, values.Count(value => Math.Abs(value) < 1e-6) / (double)values.Length, 0.02);

        // What was dropped forward is dropped backward.
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(x.grad! - adapted.detach()));

        // So it is when the same pass is computed again, and in the next another part is dropped.
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(adapter.call(x).detach() - adapted.detach() - (x.detach() * 3)));
        adapter.Dropout.Pass++;
        Assert.IsGreaterThan(0.5, Largest(adapter.call(x).detach() - adapted.detach() - (x.detach() * 3)));
        adapter.eval();
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-6), Largest(adapter.call(x).detach() - (x.detach() * 4)));
    }

    [TestMethod]
    public void TheSeedDecidesWhatIsDropped()
    {
        using var scope = NewDisposeScope();
        Tensor x = ones(20, 50).OnDevice();

        Assert.AreEqual(0, Largest(Dropped(6) - Dropped(6)));
        Assert.AreNotEqual(0, Largest(Dropped(6) - Dropped(7)));

        Tensor Dropped(long seed)
        {
            var adapter = new SorsaLinear(
                new PlainWeight(zeros(50, 50).OnDevice()), eye(50).OnDevice(), ones(50).OnDevice(), eye(50).OnDevice(), null)
            {
                Dropout = new InputDropout(0.5, seed),
            };
            return adapter.call(x).detach();
        }
    }

    [TestMethod]
    public void PartsThatDoNotFitAreRefused()
    {
        using var scope = NewDisposeScope();

        var error = Assert.ThrowsExactly<ArgumentException>(
            () => new SorsaLinear(
                new PlainWeight(rand(Out, In).OnDevice()), rand(Out, 2).OnDevice(), rand(Rank).OnDevice(), rand(Rank, In).OnDevice(),
                null));

        Assert.Contains("U and Vt of the shapes [5, 2] and [3, 7] are no factors of rank 3 of a weight [5, 7]", error.Message);
    }

    private static long[] Shape(params long[] shape) => shape;

    private static Tensor Mask(long[] shape)
    {
        using var generator = new Generator(8);
        return rand(shape, ScalarType.Float64, generator: generator).OnDevice().ge(0.4).to(ScalarType.Float64) / 0.6;
    }

    private static Tensor Uniform(long[] shape, bool trains)
    {
        using var generator = new Generator((ulong)shape.Length);
        return (rand(shape, ScalarType.Float64, generator: generator).OnDevice() - 0.5).detach().requires_grad_(trains);
    }

    /// <summary>The gradients that were left in U, s, Vt and x, taken away so that the next backward starts anew.</summary>
    private static Tensor[] Gradients(Parts parts, Tensor? x) =>
        [.. new Tensor?[] { parts.U, parts.S, parts.Vt, x }.OfType<Tensor>().Select(variable =>
        {
            Tensor gradient = variable.grad!.clone();
            variable.grad = null;
            return gradient;
        })];

    private static double Largest(Tensor difference) => difference.abs().max().to(ScalarType.Float64).item<double>();

    /// <summary>‖a − b‖ over ‖a‖.</summary>
    private static double Distance(Tensor expected, Tensor actual) =>
        ((expected - actual).to(ScalarType.Float64).norm() / expected.to(ScalarType.Float64).norm()).item<double>();

    private sealed record Parts(Tensor Residual, Parameter? Bias, Parameter U, Parameter S, Parameter Vt)
    {
        public static Parts Random(ScalarType type, bool bias)
        {
            using var generator = new Generator(12);
            Parameter? frozen = bias ? new Parameter(Draw(Out), requires_grad: false) : null;
            return new Parts(
                Draw(Out, In),
                frozen,
                new Parameter(Draw(Out, Rank)),
                new Parameter(Draw(Rank)),
                new Parameter(Draw(Rank, In)));

            Tensor Draw(params long[] shape) => randn(shape, type, generator: generator).OnDevice();
        }

        public Tensor Function(Tensor x, double scale, Tensor? mask) =>
            LowRankFunction.Apply(x, new PlainWeight(Residual.alias()), Bias, U * (S * scale), Vt, mask);

        /// <summary>Eq. (8), word for word.</summary>
        public Tensor Formula(Tensor x, double scale, Tensor? mask)
        {
            Tensor adapted = mask is null ? x : x * mask;
            Tensor output = nn.functional.linear(x, Residual) + (scale * nn.functional.linear(nn.functional.linear(adapted, Vt) * S, U));
            return Bias is null ? output : output + Bias;
        }
    }
}
