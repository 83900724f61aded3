using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Adapters.Pissa;
using Microsoft.ML.Sorsa.Checkpoints;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>
/// PEFT keeps of PiSSA what trained, and decomposes the base again when it loads it: right where training started from an exact
/// decomposition, too.
/// </summary>
[TestClass]
[TestCategory("Adapters")]
[TestCategory("Peft")]
public sealed class PissaForPeftTests
{
    private const string Path = "model.layers.0.self_attn.q_proj";

    [TestMethod]
    public void AStartThatWasDrawnIsNotWrittenAsPissa()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var generator = new Generator(1);
        (Tensor original, Tensor merged, AdapterWeights weights) = Train(Decomposition.Drawn(generator));
        using AdapterWeights owned = weights;

        Assert.IsTrue(weights.StartIsRandomized);
        string refused = Assert.ThrowsExactly<NotSupportedException>(() => PeftFolder.Write(weights, folder.File("peft"))).Message;
        Assert.Contains("Choose AdapterFormat.LoraDifference", refused);
        Assert.IsFalse(Directory.Exists(folder.File("peft")));

        // What PEFT would make of it, and what it makes of the difference.
        IReadOnlyDictionary<string, Tensor> tensors = weights.Tensors[Path];
        Assert.IsGreaterThan(1e-4, Error(merged, AsPissa(original, tensors["lora_A"], tensors["lora_B"])));
        PeftFolder.WriteDifference(weights, folder.File("difference"));
        Assert.IsLessThan(2e-6, Error(merged, original + Product(folder.File("difference"))));
    }

    /// <summary>Decompositions that are kept are exact where the largest rank asks for it.</summary>
    [TestMethod]
    public void AnExactStartIsWrittenAsPissa()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        (Tensor original, Tensor merged, AdapterWeights weights) = Train(new DecompositionCache(folder.File("svd"), 40, seed: 0));
        using AdapterWeights owned = weights;

        Assert.IsFalse(weights.StartIsRandomized);
        PeftFolder.Write(weights, folder.File("peft"));

        using Checkpoint written = Checkpoint.OpenFile(folder.File("peft", "adapter_model.safetensors"));
        Tensor a = written.Tensors[$"base_model.model.{Path}.lora_A.weight"], b = written.Tensors[$"base_model.model.{Path}.lora_B.weight"];
        Assert.IsLessThan(2e-6, Error(merged, AsPissa(original, a, b)));
    }

    [TestMethod]
    public void BesideAQuantisedRestPeftHasNoPissa()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var generator = new Generator(1);
        (_, _, AdapterWeights weights) = Train(Decomposition.Drawn(generator));
        using AdapterWeights owned = weights;

        Assert.Contains(
            "over a quantised base",
            Assert.ThrowsExactly<NotSupportedException>(
                () => PeftFolder.Write(weights with { IsQuantized = true, StartIsRandomized = false }, folder.File("peft"))).Message);
    }

    /// <summary>A slowly falling spectrum, whose triplets the randomised form cannot find to the last digit; a little training.</summary>
    private static (Tensor Original, Tensor Merged, AdapterWeights Weights) Train(Decomposition decomposition)
    {
        using var generator = new Generator(2);
        Tensor original = randn([220, 220], generator: generator), weight = original.clone();
        AdapterSet adapters = AdapterSet.Inject(
            [new TensorTarget(Path, weight)], new PissaMethod { Rank = 4, Decomposition = decomposition });
        using (no_grad())
        {
            foreach ((_, Parameter trained) in adapters.Trainable)
            {
                trained.add_(randn(trained.shape, generator: generator) * 0.1);
            }
        }

        AdapterWeights weights = AdapterWeights.Of(adapters, "beef")!;
        adapters.Merge(ScalarType.Float32);
        return (original, weight, weights);
    }

    /// <summary>
    /// pissa_init of PEFT's layers: the base loses the leading part of its own decomposition, then the file's factors are put in. Here in
    /// float64, without the rounding of PEFT's float32 (<see cref="PeftAdapterTests"/> measures that).
    /// </summary>
    private static Tensor AsPissa(Tensor original, Tensor a, Tensor b)
    {
        original = original.to(ScalarType.Float64);
        (Tensor u, Tensor s, Tensor vt) = linalg.svd(original, fullMatrices: false);
        long rank = a.shape[0];
        return original - (u.narrow(1, 0, rank) * s.narrow(0, 0, rank)).mm(vt.narrow(0, 0, rank))
            + b.to(ScalarType.Float64).mm(a.to(ScalarType.Float64));
    }

    private static Tensor Product(string folder)
    {
        using Checkpoint written = Checkpoint.OpenFile(System.IO.Path.Combine(folder, "adapter_model.safetensors"));
        return written.Tensors[$"base_model.model.{Path}.lora_B.weight"].mm(written.Tensors[$"base_model.model.{Path}.lora_A.weight"]);
    }

    /// <summary>‖actual − expected‖ / ‖expected‖.</summary>
    private static double Error(Tensor expected, Tensor actual) =>
        ((actual - expected).norm() / expected.norm()).to(ScalarType.Float64).item<double>();
}
