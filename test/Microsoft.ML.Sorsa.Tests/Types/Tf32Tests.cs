using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Types;

/// <summary>
/// TF32 is a setting of the process: on while the model computes, and then what it was. It can be looked at without a GPU.
/// </summary>
[TestClass]
[TestCategory("Mixed")]
[TestCategory("Training")]
[DoNotParallelize]
public sealed class Tf32Tests
{
    private static bool IsOn => backends.cuda.matmul.allow_tf32;

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void ItIsOnWhereItIsAskedForAndThenWhatItWas(bool before)
    {
        bool found = IsOn;
        try
        {
            backends.cuda.matmul.allow_tf32 = before;
            using (Tf32Products.Where(areAllowed: false))
            {
                Assert.AreEqual(before, IsOn);
            }

            Tf32Products outer = Tf32Products.Where(areAllowed: true)!;
            using (Tf32Products.Where(areAllowed: true))
            {
                Assert.IsTrue(IsOn);
                outer.Dispose();
                outer.Dispose();
                Assert.IsTrue(IsOn, "another one is still there");
            }

            Assert.AreEqual(before, IsOn);
        }
        finally
        {
            backends.cuda.matmul.allow_tf32 = found;
        }
    }

    /// <summary>
    /// Forward passes of training and of the validation see it; whoever is told of a step, the regularizer behind it, does not.
    /// </summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void TheModelAloneComputesInIt(bool allowed)
    {
        var seen = new List<bool>();
        using Watched model = new(() => seen.Add(IsOn));
        var told = new List<bool>();

        Train(model, allowed, _ => told.Add(IsOn), validate: () => model.Ask());

        CollectionAssert.AreEqual(Enumerable.Repeat(allowed, seen.Count).ToArray(), seen);
        Assert.IsGreaterThan(3, seen.Count);
        CollectionAssert.AreEqual(new bool[3], told);
        Assert.IsFalse(IsOn);
    }

    [TestMethod]
    public void ATrainingThatThrowsPutsItBack()
    {
        using Watched model = new(() => throw new InvalidOperationException("out of luck"));

        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(() => Train(model, true, _ => { }, null));

        Assert.AreEqual("out of luck", error.Message);
        Assert.IsFalse(IsOn);
    }

    [TestMethod]
    public void OnACpuAWarningSaysThatItDoesNothing()
    {
        List<string> Warnings(bool allowed)
        {
            var mlContext = new MLContext();
            var warnings = new List<string>();
            mlContext.Log += (_, message) =>
            {
                if (message.Kind == Runtime.ChannelMessageKind.Warning && message.Message.Contains("Tf32", StringComparison.Ordinal))
                {
                    warnings.Add(message.Message);
                }
            };
            Options options = TinyTask.Options();
            options.MaxSteps = 1;
            options.AllowTf32 = allowed;
            using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(TinyTask.Data(mlContext));
            return warnings;
        }

        Assert.IsEmpty(Warnings(allowed: false));
        Assert.ContainsSingle(Warnings(allowed: true));
        Assert.Contains("AllowTf32 has no effect on cpu", Warnings(allowed: true)[0]);
    }

    /// <summary>It decides a run, and runs that were begun before there was such an option had it off.</summary>
    [TestMethod]
    public void ItIsPartOfWhatARunIs()
    {
        SortedDictionary<string, string> Run(bool allowed)
        {
            FineTuningSettings settings = new Options { ModelFolder = "folder", AllowTf32 = allowed }.ToSettings();
            return new SortedDictionary<string, string>(
                RunFingerprint.Of(settings, settings.Training, 1, [], [], "base", CPU).Run.ToDictionary(StringComparer.Ordinal));
        }

        SortedDictionary<string, string> off = Run(allowed: false), on = Run(allowed: true), before = Run(allowed: false);
        before.Remove(nameof(Options.AllowTf32));

        Assert.IsNull(RunIdentity.Difference(before, off));
        Assert.Contains("AllowTf32: the checkpoint has 'False', this training 'True'", RunIdentity.Difference(off, on)!);
        Assert.Contains("AllowTf32: the checkpoint has 'False', this training 'True'", RunIdentity.Difference(before, on)!);
    }

    private static void Train(Watched model, bool allowed, Action<SorsaTrainingProgress> report, Func<double>? validate)
    {
        using var generator = new Generator(0);
        AdapterSet adapters = AdapterSet.Inject(
            model.Network, ["q_proj"],
            new SorsaMethod { Rank = 2, Gamma = 1e-3, Decomposition = Decomposition.Drawn(generator) });
        TrainingSettings settings = new Options { AllowTf32 = allowed, EvaluationSteps = 1 }.ToSettings().Training;
        SupervisedExample[] rows = [new SupervisedExample([1, 2, 3, 4], PromptLength: 1)];
        new TrainingLoop(model, adapters, settings).Run(
            Enumerable.Repeat<IReadOnlyList<IReadOnlyList<SupervisedExample>>>([rows], 3), 3, validate, report, CancellationToken.None);
    }

    /// <summary>The bundled model, which tells of every forward pass.</summary>
    private sealed class Watched(Action computes) : ITrainedModel, IDisposable
    {
        public CausalLM Network { get; } = CausalLM.Load(TestData.TinyLlama, ScalarType.Float32, CPU);

        public Device Device => CPU;

        public bool GradientCheckpointing { get; set; }

        public IReadOnlyList<KeyValuePair<string, Tensor>> NamedWeights => Network.NamedWeights;

        public Tensor Hidden(Tensor inputIds, Tensor positions)
        {
            computes();
            return Network.Hidden(inputIds, positions);
        }

        public Tensor Head(Tensor hidden) => Network.Head(hidden);

        public void train(bool on = true) => Network.train(on);

        public double Ask()
        {
            computes();
            return 1;
        }

        public void Dispose() => Network.Dispose();
    }
}
