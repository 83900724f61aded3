using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.AdaLora;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Dora;
using Microsoft.ML.Sorsa.Adapters.GaLore;
using Microsoft.ML.Sorsa.Adapters.Lisa;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Pissa;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Adapters.Weights;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Parameter = TorchSharp.Modules.Parameter;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>Each method against its formula: how it starts, what it computes, what it merges to, what happens after a step.</summary>
[TestClass]
[TestCategory("Methods")]
[TestCategory("Numeric")]
public sealed class MethodsTests
{
    private static readonly string[] Names = ["sorsa", "trailing", "slice", "lora", "dora", "pissa", "adalora", "partial", "full", "galore",
        "lisa"];

    public static IEnumerable<object[]> Methods => Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Methods))]
    public void AtTheStartItIsTheProjection(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Linear linear = Random(9, 7, bias: true);
        Tensor expected = linear.call(Input()).detach(), weight = linear.weight.detach().clone();

        Adapter adapter = Method(name, generator).Create("q_proj", linear);

        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(expected - adapter.call(Input()).detach()));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(weight - adapter.MergedWeight()));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(weight - adapter.InitialWeight()));
        Assert.IsTrue(adapter.Trainable.Where(named => named.Key != "bias").All(named => named.Value.requires_grad));
    }

    /// <summary>Forward, backward and merge are three pieces of code; here they must tell the same of a moved adapter.</summary>
    [TestMethod]
    [DynamicData(nameof(Methods))]
    public void ForwardGradientAndMergeAgree(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Linear linear = Random(9, 7, bias: true);
        Tensor before = linear.weight.detach().clone();
        Adapter adapter = Method(name, generator).Create("q_proj", linear);
        Move(adapter);
        Tensor x = Input().requires_grad_(), weights = rand([2, 5, 9], ScalarType.Float64, generator: generator).OnDevice();

        Tensor output = adapter.call(x);
        (output * weights).sum().backward();
        Tensor[] actual = Gradients(adapter, x);
        Tensor merged = adapter.Weight();
        Tensor expected = nn.functional.linear(x, merged, linear.bias);
        (expected * weights).sum().backward();

        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(expected - output));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(merged - adapter.MergedWeight()));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(before - adapter.InitialWeight()));
        foreach ((Tensor wanted, Tensor got) in Gradients(adapter, x).Zip(actual))
        {
            Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-11), Largest(wanted - got));
        }

        using var noGrad = no_grad();
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(expected - adapter.call(x)));
    }

    [TestMethod]
    [DataRow(0, 3)]
    [DataRow(2, 3)]
    [DataRow(null, 3)]
    [DataRow(4, 3)]
    public void TheTripletsThatTrainAreThoseOfTheSlice(int? first, int rank)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Linear linear = Random(9, 7, bias: false);
        (Tensor u, Tensor s, Tensor vt) = linalg.svd(linear.weight.detach(), fullMatrices: false);
        int start = first ?? 7 - rank;

        var method = new SorsaMethod { Rank = rank, FirstTriplet = first, Decomposition = Decomposition.Drawn(generator) };
        var adapter = (SorsaLinear)method.Create("q_proj", linear);

        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(s.narrow(0, start, rank) - adapter.S.detach()));
        Assert.IsLessThanOrEqualTo(
            1e-12,
            Largest((u * s).narrow(1, start, rank).mm(vt.narrow(0, start, rank)) - (adapter.U * adapter.S).mm(adapter.Vt).detach()));
    }

    [TestMethod]
    public void ASliceBeyondTheMatrixIsRefused()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);

        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => new SorsaMethod { Rank = 3, FirstTriplet = 5, Decomposition = Decomposition.Drawn(generator) }
                .Create("q_proj", Random(9, 7, bias: false)));

        Assert.Contains("has 7 singular triplets, not those from 5 to 7", error.Message);
    }

    [TestMethod]
    public void HardOrthonormalityHoldsAfterEveryStep()
    {
        using CausalLM model = TinyModel.Create();
        using var generator = new Generator(5);
        AdapterSet adapters = AdapterSet.Inject(
            model, TinyModel.Targets,
            new SorsaMethod { Rank = 4, HardOrthonormality = true, Decomposition = Decomposition.Drawn(generator) });
        var deviations = new List<double>();

        new TrainingLoop(model, adapters, TinyModel.Settings with { LearningRate = 0.05, WarmupRatio = 0 }).Run(
            TinyModel.Rows(40).Chunk(4).Select(rows => new[] { rows }),
            10, null, _ => deviations.Add(Deviation(adapters)), CancellationToken.None);

        Assert.HasCount(10, deviations);
        Assert.IsLessThan(1e-5, deviations.Max());
    }

    /// <summary>Without it the same run drifts far: the test above would see a step that does nothing.</summary>
    [TestMethod]
    public void WithoutItTheVectorsDrift()
    {
        using CausalLM model = TinyModel.Create();
        AdapterSet adapters = TinyModel.Adapt(model, gamma: 0);

        new TrainingLoop(model, adapters, TinyModel.Settings with { LearningRate = 0.05, WarmupRatio = 0 }).Run(
            TinyModel.Rows(40).Chunk(4).Select(rows => new[] { rows }), 10, null, _ => { }, CancellationToken.None);

        Assert.IsGreaterThan(1e-2, Deviation(adapters));
    }

    /// <summary>Columns of either sign: the nearest Q with a positive diagonal does not turn a vector round.</summary>
    [TestMethod]
    public void OrthonormalizingLeavesOrthonormalVectorsAsTheyAre()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var adapter = (SorsaLinear)new SorsaMethod { Rank = 4, Decomposition = Decomposition.Drawn(generator) }
            .Create("q_proj", Random(9, 7, bias: false));
        (Tensor u, Tensor vt) = (adapter.U.detach().clone(), adapter.Vt.detach().clone());

        adapter.Orthonormalize();

        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(u - adapter.U.detach()));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(vt - adapter.Vt.detach()));
    }

    [TestMethod]
    public void LoraStartsAtZeroBesideKaimingUniform()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var adapter = (LoraLinear)new LoraMethod { Rank = 50, Scale = 1, Initialization = generator }
            .Create("q_proj", Random(60, 400, bias: false));
        double bound = 1 / Math.Sqrt(400);

        Assert.AreEqual(0, Largest(adapter.B.detach()));
        Assert.IsLessThanOrEqualTo(bound, Largest(adapter.A.detach()));
        Assert.AreEqual(bound / Math.Sqrt(3), adapter.A.detach().std().item<double>(), bound * 0.02);
    }

    [TestMethod]
    public void PissaStartsFromTheLeadingPart()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Linear linear = Random(9, 7, bias: false);
        (Tensor u, Tensor s, Tensor vt) = linalg.svd(linear.weight.detach(), fullMatrices: false);
        var adapter = (LoraLinear)new PissaMethod { Rank = 3, Scale = 2, Decomposition = Decomposition.Drawn(generator) }
            .Create("q_proj", linear);

        Assert.IsLessThanOrEqualTo(
            TestDevice.Limit(1e-12), Largest((u * s).narrow(1, 0, 3).mm(vt.narrow(0, 0, 3)) - (2 * adapter.B.mm(adapter.A)).detach()));

        // Both factors carry the same share: BᵀB = AAᵀ = diag(s / c).
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(adapter.B.t().mm(adapter.B).detach() - diag(s.narrow(0, 0, 3) / 2)));
        Assert.IsLessThanOrEqualTo(TestDevice.Limit(1e-12), Largest(adapter.A.mm(adapter.A.t()).detach() - diag(s.narrow(0, 0, 3) / 2)));
    }

    [TestMethod]
    public void TheBudgetFallsFromAllToTheTarget()
    {
        var budget = new RankBudget { WarmupSteps = 4, FinalSteps = 6 };

        int[] left = [.. Enumerable.Range(0, 24).Select(step => budget.At(step, 24, 84, 42))];

        Assert.IsTrue(left[..5].All(count => count == 84));
        Assert.IsTrue(left[18..].All(count => count == 42));
        Assert.IsTrue(left.Zip(left[1..], (earlier, later) => later <= earlier).All(falls => falls));
        Assert.AreEqual(42 + (int)(42 * Math.Pow(0.5, 3)), left[11]);
    }

    [TestMethod]
    public void OnlyFullFineTuningMovesEveryWeight()
    {
        foreach (bool full in new[] { true, false })
        {
            using var scope = NewDisposeScope();
            using CausalLM model = TinyModel.Create(bias: true);
            var before = model.NamedWeights.ToDictionary(named => named.Key, named => named.Value.detach().clone());
            AdapterSet adapters = AdapterSet.Inject(model, full ? TinyModel.Targets : ["q_proj"], new WeightMethod { Everything = full });

            new TrainingLoop(model, adapters, TinyModel.Settings with { LearningRate = 0.01, WarmupRatio = 0 }).Run(
                TinyModel.Rows(12).Chunk(4).Select(rows => new[] { rows }), 3, null, _ => { }, CancellationToken.None);
            adapters.Merge(ScalarType.Float32);

            foreach ((string name, Tensor weight) in model.NamedWeights)
            {
                // A key's bias shifts every score of a query alike: its gradient is zero but for rounding.
                bool trained = full
                    ? !name.EndsWith("k_proj.bias", StringComparison.Ordinal)
                    : name.EndsWith("q_proj.weight", StringComparison.Ordinal);
                Assert.IsTrue(full && !trained || trained != before[name].cpu().bytes.SequenceEqual(weight.cpu().bytes), name);
            }

            Assert.AreEqual("", string.Join(" ", model.NamedWeights.Where(named => named.Value.requires_grad).Select(named => named.Key)));
        }
    }

    [TestMethod]
    public void ARowOfZerosHasNoDirectionAndNoNaN()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Linear linear = Random(9, 7, bias: false);
        using (no_grad())
        {
            linear.weight[4].zero_();
        }

        Adapter adapter = Method("dora", generator).Create("q_proj", linear);
        adapter.call(Input()).sum().backward();

        Assert.AreEqual(0, Largest(adapter.MergedWeight()[4]));
        Assert.IsTrue(adapter.Trainable.All(named => named.Value.grad!.isfinite().all().item<bool>()));
    }

    private static AdapterMethod Method(string name, Generator generator) => name switch
    {
        "sorsa" => new SorsaMethod { Rank = 3, Scale = 2, Decomposition = Decomposition.Drawn(generator) },
        "trailing" => new SorsaMethod { Rank = 3, FirstTriplet = null, Decomposition = Decomposition.Drawn(generator) },
        "slice" => new SorsaMethod { Rank = 3, FirstTriplet = 2, Decomposition = Decomposition.Drawn(generator) },
        "lora" => new LoraMethod { Rank = 3, Scale = 2, Initialization = generator },
        "dora" => new DoraMethod { Rank = 3, Scale = 2, Initialization = generator },
        "pissa" => new PissaMethod { Rank = 3, Scale = 2, Decomposition = Decomposition.Drawn(generator) },
        "adalora" => new AdaLoraMethod
        {
            Rank = 3,
            Alpha = 6,
            Gamma = 0.5,
            Budget = new RankBudget(),
            TotalSteps = 10,
            Initialization = generator,
        },
        "galore" => new GaLoreMethod { Rank = 3, Projection = new GradientProjection(), Seed = 3 },
        "lisa" => new LisaMethod { Sampling = new LayerSampling(), Seed = 3 },
        _ => new WeightMethod { Everything = name == "full" },
    };

    private static Linear Random(int rows, int columns, bool bias)
    {
        using var generator = new Generator(8);
        return nn.Linear(
            new Parameter(randn([rows, columns], ScalarType.Float64, generator: generator).OnDevice(), requires_grad: false),
            bias ? new Parameter(randn([rows], ScalarType.Float64, generator: generator).OnDevice(), requires_grad: false) : null);
    }

    private static Tensor Input()
    {
        using var generator = new Generator(6);
        return randn([2, 5, 7], ScalarType.Float64, generator: generator).OnDevice();
    }

    private static void Move(Adapter adapter)
    {
        using var noGrad = no_grad();
        using var generator = new Generator(13);
        foreach (var (_, parameter) in adapter.Trainable)
        {
            parameter.Accumulate(randn(parameter.shape, parameter.dtype, generator: generator).OnDevice().Scale(0.1));
        }
    }

    private static Tensor[] Gradients(Adapter adapter, Tensor x) =>
        [.. adapter.Trainable.Where(named => named.Key != "bias").Select(named => (Tensor)named.Value).Append(x).Select(variable =>
        {
            Tensor gradient = variable.grad!.clone();
            variable.grad = null;
            return gradient;
        })];

    private static double Deviation(AdapterSet adapters)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return adapters.OrthonormalFactors.Max(factor =>
        {
            Tensor m = factor.Rows ? factor.Matrix : factor.Matrix.t();
            return Largest(m.mm(m.t()) - eye(m.shape[0]).OnDevice());
        });
    }

    private static double Largest(Tensor difference) => difference.abs().max().to(ScalarType.Float64).item<double>();
}
