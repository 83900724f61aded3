using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Adapters;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Training;

/// <summary>The runs of the authors' own trainer, through the one loop: same start, same batches, same end.</summary>
[TestClass]
[TestCategory("Sorsa")]
[TestCategory("Training")]
public sealed class SorsaTrajectoryTests
{
    public static IEnumerable<object[]> Runs =>
        TestData.Rows(TestData.Golden("sorsa"), "*.json")
            .SelectMany(row => new object[][] { [row[0], ScalarType.Float64], [row[0], ScalarType.Float32] });

    [TestMethod]
    [DynamicData(nameof(Runs))]
    public void TheAuthorsTrajectoryIsMet(string file, ScalarType type)
    {
        TestData.Require(file);
        using JsonDocument settings = JsonDocument.Parse(File.ReadAllText(file));
        JsonElement run = settings.RootElement;
        using Checkpoint golden = Checkpoint.OpenFile(Path.ChangeExtension(file, ".safetensors"));
        using CausalLM model = CausalLM.Load(TestData.Golden("models", run.GetProperty("base").GetString()!), type, CPU);
        int rank = run.GetProperty("rank").GetInt32(),
            accumulation = run.GetProperty("accumulation").GetInt32(),
            total = run.GetProperty("steps").GetInt32();
        double scale = run.GetProperty("alpha").ValueKind == JsonValueKind.Null ? 1 : run.GetProperty("alpha").GetDouble() / rank;
        using var generator = new Generator(0);

        // The authors' trainer divides the regularizer's gradient by the number of micro-batches, Eq. (11) does not
        // (test/data/golden/README.md).
        var rules = new SorsaMethod
        {
            Rank = rank,
            Gamma = run.GetProperty("gamma").GetDouble() / accumulation,
            Decomposition = Decomposition.Drawn(generator)
        };
        AdapterSet adapters = AdapterSet.Inject(
            model, [.. run.GetProperty("targets").EnumerateArray().Select(target => target.GetString()!)],
            new StoredMethod(
                (path, linear) => new SorsaLinear(
                    new PlainWeight(Start(path, "residual")), Start(path, "U"), Start(path, "s"), Start(path, "Vt"), linear.bias, scale),
                rules));

        var options = TinyModel.Settings with
        {
            LearningRate = run.GetProperty("learning_rate").GetDouble(),
            WarmupRatio = run.GetProperty("warmup_ratio").GetDouble(),
            WeightDecay = run.GetProperty("weight_decay").GetDouble(),
            MaxGradNorm = run.GetProperty("max_grad_norm").GetDouble(),
        };
        var log = new List<SorsaTrainingProgress>();

        new TrainingLoop(model, adapters, options).Run(
            GoldenBatches.Steps(golden, accumulation), total, validate: null, log.Add, CancellationToken.None);

        double tolerance = type == ScalarType.Float64 ? 1e-7 : 1e-5;
        double worst = 0;
        foreach ((string path, Adapter adapter) in adapters.Adapters)
        {
            foreach ((string name, Tensor value) in adapter.Trainable.Select(named => (named.Key, (Tensor)named.Value)))
            {
                worst = Math.Max(worst, Largest(value.detach() - golden.Tensors[$"end.{path}.{name}"]));
            }

            worst = Math.Max(worst, Largest(adapter.MergedWeight() - golden.Tensors[$"merged.{path}.weight"]));
        }

        Assert.IsLessThanOrEqualTo(tolerance, worst);
        Assert.HasCount(total, log);
        double[] losses = Means("loss"),
            norms = Means("grad_norm"),
            orthonormality = Means("orthonormality"),
            rates = Means("learning_rate");
        for (int step = 0; step < total; step++)
        {
            Assert.AreEqual(losses[step], log[step].Loss, 3e-6);
            Assert.AreEqual(norms[step], log[step].GradientNorm, 1e-5 * norms[step]);
            Assert.AreEqual(step == 0 ? 0 : rates[step - 1], log[step].LearningRate, 1e-12);
            if (log[step].Orthonormality is { } measured)
            {
                Assert.AreEqual(orthonormality[step], measured, 1e-6);
            }
        }

        Tensor Start(string path, string name) => golden.Tensors[$"start.{path}.{name}"].to(type).clone();

        double[] Means(string name) =>
            golden.Tensors["log." + name].to(ScalarType.Float64).reshape(total, -1).mean([1]).data<double>().ToArray();
    }

    private static double Largest(Tensor difference) => difference.abs().max().to(ScalarType.Float64).item<double>();
}
