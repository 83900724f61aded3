using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>What a step computes of many tensors at once, or in one operation, against the same one by one.</summary>
[TestClass]
[TestCategory("Foreach")]
[TestCategory("Numeric")]
public sealed class ForeachTests
{
    private static readonly long[][] s_shapes = [[4, 3], [1], [2, 1, 5], [7, 7], [], [3, 4]];

    public static IEnumerable<object[]> Types => [[ScalarType.Float32], [ScalarType.Float64]];

    public static IEnumerable<object[]> NormTypes => [[ScalarType.Float32], [ScalarType.Float64], [ScalarType.BFloat16]];

    [TestMethod]
    [DynamicData(nameof(Types))]
    public void NormsAreThoseOfEach(ScalarType type)
    {
        using var scope = NewDisposeScope();
        Tensor[] tensors = [.. Draw(type), Draw(type)[3].t(), zeros([2, 2], type).OnDevice()];

        double[] norms = Values(TensorLists.Norms(tensors));

        Assert.HasCount(tensors.Length, norms);
        for (int i = 0; i < tensors.Length; i++)
        {
            double expected = Math.Sqrt(Values(tensors[i]).Sum(value => value * value));
            Assert.AreEqual(expected, norms[i], TestDevice.Limit(type == ScalarType.Float64 ? 1e-14 : 1e-6) * Math.Max(expected, 1));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Types))]
    public void EachIsScaled(ScalarType type)
    {
        using var scope = NewDisposeScope();
        Tensor[] tensors = Draw(type), before = [.. tensors.Select(tensor => tensor.clone())];

        TensorLists.Scale(tensors, 0.3);

        for (int i = 0; i < tensors.Length; i++)
        {
            CollectionAssert.AreEqual(Values(before[i].mul(0.3)), Values(tensors[i]));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Types))]
    public void EachGetsItsPartOfAStack(ScalarType type)
    {
        using var scope = NewDisposeScope();
        Tensor[] sums = [.. Enumerable.Range(0, 3).Select(seed => Random(type, seed, 4, 2))];
        Tensor[] before = [.. sums.Select(tensor => tensor.clone())];
        Tensor summands = Random(type, 9, 3, 4, 2);

        TensorLists.Accumulate(sums, summands);

        for (int i = 0; i < sums.Length; i++)
        {
            CollectionAssert.AreEqual(Values(before[i].add(summands[i])), Values(sums[i]));
        }
    }

    /// <summary>Gradients of two types, and a tensor without one, as where everything trains.</summary>
    [TestMethod]
    [DataRow(0.5, true)]
    [DataRow(1e6, false)]
    public void GradientsAreClippedByTheirNorm(double limit, bool isClipped)
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters =
        [
            .. Draw(ScalarType.Float64).Concat(Draw(ScalarType.Float32)).Select(gradient => new Parameter(zeros_like(gradient))
            {
                grad = gradient,
            }),
            new Parameter(zeros([3], ScalarType.Float64).OnDevice()),
        ];
        double[][] before = [.. parameters[..^1].Select(parameter => Values(parameter.grad!))];
        double expected = Math.Sqrt(before.Sum(values => values.Sum(value => value * value)));

        double norm = TensorValues.Read(GradientClipping.Norm(parameters))[0];
        GradientClipping.Clip(parameters, norm, limit);

        Assert.AreEqual(expected, norm, TestDevice.Limit(1e-6) * expected);
        double factor = isClipped ? limit / (norm + 1e-6) : 1;
        for (int i = 0; i < before.Length; i++)
        {
            double[] after = Values(parameters[i].grad!);
            for (int j = 0; j < after.Length; j++)
            {
                Assert.AreEqual(factor * before[i][j], after[j], 1e-6 * Math.Abs(before[i][j]));
            }
        }

        Assert.IsNull(parameters[^1].grad);
    }

    /// <summary>Whoever looks for the gradient at fault finds it as it was.</summary>
    [TestMethod]
    [DataRow(double.NaN)]
    [DataRow(double.PositiveInfinity)]
    public void ANormThatIsNotFiniteIsGiven(double broken)
    {
        using var scope = NewDisposeScope();
        var whole = new Parameter(zeros([2], ScalarType.Float64).OnDevice());
        var faulty = new Parameter(zeros([2], ScalarType.Float64).OnDevice());
        (whole.grad, faulty.grad) = (ones([2], ScalarType.Float64).OnDevice(), tensor([1.0, broken]).OnDevice());

        double norm = TensorValues.Read(GradientClipping.Norm([whole, faulty]))[0];

        Assert.IsFalse(double.IsFinite(norm));
        Assert.IsTrue(Values(whole.grad!).All(value => value == 1));
    }

    /// <summary>Factors of several shapes, their gradient by libtorch, one factor after the other.</summary>
    [TestMethod]
    [DataRow(1)]
    [DataRow(40)]
    [DataRow(1 << 20)]
    public void ThePenaltyOfStacksIsThatOfEachFactor(int mostValues)
    {
        using var scope = NewDisposeScope();
        const double Weight = 0.7;
        OrthonormalFactor[] factors =
        [
            .. Enumerable.Range(0, 50).Select(seed => new OrthonormalFactor(Trained(seed, 6, 3), Rows: false)),
            .. Enumerable.Range(50, 4).Select(seed => new OrthonormalFactor(Trained(seed, 3, 6), Rows: true)),
            new OrthonormalFactor(Trained(9, 6, 3), Rows: true),
            new OrthonormalFactor(Trained(10, 4, 4), Rows: false),
        ];
        Tensor[] copies = [.. factors.Select(factor => factor.Matrix.detach().clone().requires_grad_())];
        Tensor penalty = stack([.. copies.Zip(factors, Norm)]).mean();
        penalty.mul(Weight).backward();
        Array.ForEach(factors, factor => factor.Matrix.grad = ones_like(factor.Matrix));

        double value = new OrthonormalityRegularizer(factors, mean: true, mostValues).AddGradient(Weight);

        Assert.AreEqual(TensorValues.Read(penalty)[0], value, 1e-13);
        foreach ((OrthonormalFactor factor, Tensor copy) in factors.Zip(copies))
        {
            using Tensor difference = (factor.Matrix.grad! - 1 - copy.grad!).abs().max();
            Assert.IsLessThan(1e-13, TensorValues.Read(difference)[0]);
        }

        static Tensor Norm(Tensor matrix, OrthonormalFactor factor)
        {
            Tensor gram = factor.Rows ? matrix.mm(matrix.t()) : matrix.t().mm(matrix);
            return (gram - eye(gram.shape[0], dtype: ScalarType.Float64).OnDevice()).norm();
        }
    }

    /// <summary>Between the two halves something else happens to the gradients.</summary>
    [TestMethod]
    public void ThePenaltyInTwoCallsIsThatInOne()
    {
        using var scope = NewDisposeScope();
        OrthonormalFactor[] factors = [new(Trained(1, 6, 3), Rows: false), new(Trained(2, 3, 6), Rows: true)];
        Array.ForEach(factors, factor => factor.Matrix.grad = zeros_like(factor.Matrix));
        var regularizer = new OrthonormalityRegularizer(factors, mean: false);
        double value = regularizer.AddGradient(0.3);
        Tensor[] gradients = [.. factors.Select(factor => factor.Matrix.grad!.clone())];
        Array.ForEach(factors, factor => factor.Matrix.grad = zeros_like(factor.Matrix));

        OrthonormalityRegularizer.Deviations deviations = regularizer.Look();
        deviations.AddGradient(0.3);

        Assert.AreEqual(value, TensorValues.Read(deviations.Value)[0]);
        for (int i = 0; i < factors.Length; i++)
        {
            CollectionAssert.AreEqual(Values(gradients[i]), Values(factors[i].Matrix.grad!));
        }
    }

    /// <summary>A mask of ones brings the gradients that are written down here, no mask those of libtorch.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void LibtorchsGradientsOfAProjectionAreThoseByHand(bool hasBias)
    {
        using var scope = NewDisposeScope();
        Tensor x = Random(ScalarType.Float64, 1, 2, 5, 4), weight = Random(ScalarType.Float64, 2, 6, 4);
        Tensor b = Random(ScalarType.Float64, 3, 6, 2), a = Random(ScalarType.Float64, 4, 2, 4);
        Tensor dy = Random(ScalarType.Float64, 5, 2, 5, 6);
        Tensor? bias = hasBias ? Random(ScalarType.Float64, 6, 6) : null;

        double[][] byHand = Gradients(ones_like(x)), byLibtorch = Gradients(mask: null);

        for (int i = 0; i < byHand.Length; i++)
        {
            Assert.HasCount(byHand[i].Length, byLibtorch[i]);
            for (int j = 0; j < byHand[i].Length; j++)
            {
                Assert.AreEqual(byHand[i][j], byLibtorch[i][j], 1e-13);
            }
        }

        double[][] Gradients(Tensor? mask)
        {
            Tensor[] inputs = [.. new[] { x, b, a }.Select(tensor => tensor.detach().clone().requires_grad_())];
            using var pass = new BackwardPass();
            Tensor y = LowRankFunction.Apply(inputs[0], new PlainWeight(weight.alias()), bias, inputs[1], inputs[2], mask);
            pass.Run(y, dy);
            return [Values(y), .. inputs.Select(input => Values(input.grad!))];
        }
    }

    /// <summary>The operation that a GPU takes, in forward and backward, against the formula in float64.</summary>
    [TestMethod]
    [DynamicData(nameof(NormTypes))]
    public void TheNormInOneOperationIsTheFormula(ScalarType type)
    {
        using var scope = NewDisposeScope();
        const double Epsilon = 1e-5;
        double limit = type switch { ScalarType.Float64 => 1e-13, ScalarType.Float32 => TestDevice.Limit(2e-6), _ => 0.03 };
        Tensor weight = Random(type, 1, 24), gradient = Random(type, 2, 3, 5, 24);
        Tensor x = Random(type, 3, 3, 5, 24).requires_grad_();
        Tensor wide = x.detach().to(ScalarType.Float64).requires_grad_();

        // A second call, too: TorchScript compiles its graph anew once it has seen one.
        for (int call = 0; call < 3; call++)
        {
            x.grad = null;
            Tensor y = FusedRmsNorm.Compute(x, weight, Epsilon);
            y.backward([gradient]);
            wide.grad = null;
            Tensor expected = wide * (wide.square().mean([-1], keepdim: true) + Epsilon).rsqrt() * weight.to(ScalarType.Float64);
            expected.backward([gradient.to(ScalarType.Float64)]);

            Assert.AreEqual(type, y.dtype);
            Assert.IsLessThan(limit, Largest(y, expected));
            Assert.IsLessThan(limit, Largest(x.grad!, wide.grad!));
        }
    }

    private static double Largest(Tensor one, Tensor other) => TensorValues.Read((one.to(ScalarType.Float64) - other).abs().max())[0];

    private static Parameter Trained(int seed, params long[] shape) => new(Random(ScalarType.Float64, seed, shape));

    private static Tensor[] Draw(ScalarType type) => [.. s_shapes.Select((shape, i) => Random(type, i, shape))];

    private static Tensor Random(ScalarType type, int seed, params long[] shape)
    {
        using var generator = new Generator((ulong)seed);
        return randn(shape, ScalarType.Float64, generator: generator).OnDevice().to(type);
    }

    private static double[] Values(Tensor tensor) => tensor.detach().to(ScalarType.Float64).contiguous().cpu().data<double>().ToArray();
}
