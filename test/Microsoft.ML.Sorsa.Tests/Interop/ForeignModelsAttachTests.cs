using Microsoft.ML.Sorsa.Adapters;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>
/// Adapters on a module of the user's, in the user's own loop: a small vision transformer that tells horizontal from vertical stripes.
/// </summary>
[TestClass]
[TestCategory("ForeignModels")]
[DoNotParallelize]
public sealed class ForeignModelsAttachTests
{
    private static readonly string[] Blocks = ["qkv", "out", "up", "down"];

    /// <summary>A merge is all or nothing: here the first target could be written, and the second one does not fit its type.</summary>
    [TestMethod]
    public void AMergeThatFailsAtTheSecondTargetLeavesTheModuleAsItWas()
    {
        using var module = nn.Sequential(
            ("first", nn.Linear(4, 4, dtype: ScalarType.Float16)), ("second", nn.Linear(4, 4, dtype: ScalarType.Float16)));
        float[][] before = Values();
        using (SorsaAdapters adapters = SorsaAdapters.Attach(module, new SorsaAdapterOptions { Method = FineTuningMethod.Lora, Rank = 2 }))
        {
            using (no_grad())
            {
                foreach (Parameter second in adapters.Parameters.Skip(2))
                {
                    second.fill_(1e4);
                }
            }

            Assert.Contains("second", Assert.ThrowsExactly<ArithmeticException>(() => adapters.Merge()).Message);
        }

        CollectionAssert.AreEqual(before[0], Values()[0]);
        CollectionAssert.AreEqual(before[1], Values()[1]);
        Assert.IsTrue(module.parameters().All(parameter => parameter.requires_grad));

        float[][] Values() => [.. module.parameters().Where(parameter => parameter.dim() == 2)
            .Select(parameter => parameter.detach().to(ScalarType.Float32).data<float>().ToArray())];
    }

    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa)]
    [DataRow(FineTuningMethod.Lora)]
    [DataRow(FineTuningMethod.Dora)]
    [DataRow(FineTuningMethod.Partial)]
    public void AVisionTransformerLearns(FineTuningMethod method)
    {
        using var scope = NewDisposeScope();
        using var model = new VisionTransformer(seed: 4);
        Tensor[] parameters = [.. model.parameters()];
        using SorsaAdapters adapters = SorsaAdapters.Attach(
            model,
            new SorsaAdapterOptions { Method = method, Rank = method == FineTuningMethod.Partial ? null : 4, TargetModules = Blocks });

        List<double> losses = Train(model, adapters, steps: 60);
        adapters.Synchronize();
        (Tensor images, Tensor labels) = Images(100, seed: 9);
        Tensor before = Scores(model, images);
        MergeReport report = adapters.Merge();
        Tensor merged = Scores(model, images);

        Assert.IsLessThan(0.5 * losses[0], losses[^1]);
        Assert.IsGreaterThan(0.9, merged.argmax(1).eq(labels).to(ScalarType.Float64).mean().item<double>());
        Assert.IsTrue(before.bytes.SequenceEqual(merged.bytes));
        Assert.HasCount(8, report.Matrices);
        Assert.IsTrue(parameters.Zip(model.parameters(), ReferenceEquals).All(same => same));
        Assert.IsTrue(model.parameters().All(parameter => parameter.requires_grad && parameter.grad is null));
        Assert.ThrowsExactly<ObjectDisposedException>(adapters.Synchronize);
    }

    [TestMethod]
    public void ThePenaltyAndTheRetractionKeepVectorsOrthonormal()
    {
        double free = Drift(new SorsaAdapterOptions { Rank = 4, Gamma = 0, TargetModules = Blocks }),
            kept = Drift(new SorsaAdapterOptions { Rank = 4, Gamma = 0.1, TargetModules = Blocks }),
            exact = Drift(new SorsaAdapterOptions { Rank = 4, HardOrthonormality = true, TargetModules = Blocks });

        Assert.IsLessThan(0.5 * free, kept);
        Assert.IsLessThan(1e-5, exact);
    }

    [TestMethod]
    public void DisposedWithoutAMergeItLeavesTheModuleAsItWas()
    {
        using var scope = NewDisposeScope();
        using var model = new VisionTransformer(seed: 4);
        model.eval();
        Dictionary<string, Tensor> before = model.state_dict().ToDictionary(named => named.Key, named => named.Value.detach().clone());

        using (SorsaAdapters adapters = SorsaAdapters.Attach(model, new SorsaAdapterOptions { Rank = 4, TargetModules = ["qkv"] }))
        {
            Train(model, adapters, steps: 3);
            Assert.HasCount(2 * 3, adapters.Parameters);
        }

        Assert.IsTrue(model.state_dict().All(named => named.Value.bytes.SequenceEqual(before[named.Key].bytes)));
        Assert.IsTrue(model.parameters().All(parameter => parameter.requires_grad));
        Assert.IsFalse(model.training);
    }

    /// <summary>Two halves of a batch before one step are the batch.</summary>
    [TestMethod]
    public void GradientsAddUpOverCalls()
    {
        using var scope = NewDisposeScope();
        using var model = new VisionTransformer(seed: 4);
        using SorsaAdapters adapters = SorsaAdapters.Attach(model, new SorsaAdapterOptions { Rank = 2 });
        (Tensor images, Tensor labels) = Images(16, seed: 2);

        adapters.Backward(() => nn.functional.cross_entropy(model.call(images), labels));
        Tensor[] whole = [.. adapters.Parameters.Select(parameter => parameter.grad!.clone())];
        foreach (Parameter parameter in adapters.Parameters)
        {
            parameter.grad = null;
        }

        foreach (long half in new[] { 0L, 8L })
        {
            adapters.Backward(() => nn.functional.cross_entropy(model.call(images.narrow(0, half, 8)), labels.narrow(0, half, 8)) / 2);
        }

        Assert.IsTrue(
            whole.Zip(adapters.Parameters, (expected, parameter) => (expected - parameter.grad!).abs().max().item<float>()).Max() < 1e-5);
        Assert.IsTrue(model.parameters().All(parameter => parameter.grad is null));
    }

    [TestMethod]
    [DataRow(FineTuningMethod.Full, null, null, "Method is Full")]
    [DataRow(FineTuningMethod.GaLore, null, null, "Method is GaLore, and it is a way of updating weights")]
    [DataRow(FineTuningMethod.Lisa, null, null, "Method is Lisa, and it is a way of updating weights")]
    [DataRow(FineTuningMethod.AdaLora, null, null, "Method is AdaLora, and it needs to know the number of steps")]
    [DataRow(FineTuningMethod.Lora, null, 0.1, "Gamma is 0.1; it does not belong to Method Lora")]
    [DataRow(FineTuningMethod.Sorsa, 40, null, "allows ranks from 1 to")]
    [DataRow(FineTuningMethod.Sorsa, 0, null, "Rank is 0; it must be at least 1")]
    public void OptionsAreTheTrainers(FineTuningMethod method, int? rank, double? gamma, string message)
    {
        using var model = new VisionTransformer(seed: 4);

        ArgumentException error = Assert.Throws<ArgumentException>(
            () => SorsaAdapters.Attach(model, new SorsaAdapterOptions { Method = method, Rank = rank, Gamma = gamma }));

        Assert.Contains(message, error.Message);
    }

    [TestMethod]
    public void ATargetThatIsNotThereIsRefused()
    {
        using var model = new VisionTransformer(seed: 4);

        string message = Assert.ThrowsExactly<ArgumentException>(
            () => SorsaAdapters.Attach(model, new SorsaAdapterOptions { TargetModules = ["q_proj"] })).Message;

        Assert.Contains("'q_proj' matches no module", message);
        foreach (string name in Blocks.Append("patches").Append("head"))
        {
            Assert.Contains(name, message);
        }
    }

    private static double Drift(SorsaAdapterOptions options)
    {
        using var scope = NewDisposeScope();
        using var model = new VisionTransformer(seed: 4);
        using SorsaAdapters adapters = SorsaAdapters.Attach(model, options);
        Train(model, adapters, steps: 30);

        // U of the first target.
        Tensor u = adapters.Parameters[0].detach();
        return (u.t().mm(u) - eye(u.shape[1])).norm().item<float>();
    }

    private static List<double> Train(VisionTransformer model, SorsaAdapters adapters, int steps)
    {
        const double LearningRate = 0.01;
        var losses = new List<double>();
        using var optimizer = optim.AdamW(adapters.Parameters, LearningRate, weight_decay: 0);
        for (int step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            (Tensor images, Tensor labels) = Images(32, seed: 100 + step);
            optimizer.zero_grad();
            losses.Add(adapters.Backward(() => nn.functional.cross_entropy(model.call(images), labels)).item<float>());
            adapters.AddPenaltyGradient(LearningRate);
            optimizer.step();
            adapters.AfterStep();
        }

        return losses;
    }

    private static Tensor Scores(VisionTransformer model, Tensor images)
    {
        using var noGrad = no_grad();
        return model.call(images);
    }

    /// <summary>Noisy stripes [n, 16, 16] of a random phase, lying (0) or standing (1).</summary>
    private static (Tensor Images, Tensor Labels) Images(int count, int seed)
    {
        using var generator = new Generator((ulong)seed);
        Tensor labels = randint(0, 2, [count], ScalarType.Int64, generator: generator);
        Tensor phase = rand([count, 1, 1], generator: generator) * (2 * Math.PI);
        Tensor lying = (arange(16).view(1, 16, 1) * (Math.PI / 2) + phase).sin().expand(count, 16, 16);
        Tensor images = where(labels.view(-1, 1, 1).eq(0), lying, lying.transpose(1, 2));
        return (images + (randn([count, 16, 16], generator: generator) * 0.2), labels);
    }
}
