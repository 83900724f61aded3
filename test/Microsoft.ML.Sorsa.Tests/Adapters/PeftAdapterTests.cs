using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>Files that PEFT itself wrote.</summary>
[TestClass]
[TestCategory("Adapters")]
[TestCategory("Peft")]
[TestCategory("Numeric")]
public sealed class PeftAdapterTests
{
    public static IEnumerable<object[]> Folders => TestData.Rows(TestData.Golden("peft"), "*-adapter");

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void APeersAdapterGivesThePeersLogits(string folder)
    {
        string run = TestData.Require(folder)[..^"-adapter".Length];
        using JsonDocument settings = JsonDocument.Parse(File.ReadAllText(run + ".json"));
        using Checkpoint golden = Checkpoint.OpenFile(run + ".safetensors");
        using CausalLM model = CausalLM.Load(
            TestData.Golden("models", settings.RootElement.GetProperty("base").GetString()!),
            ScalarType.Float32, TestDevice.Current);
        using var adapters = new AdapterSwitch(model, ScalarType.Float32);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor before = Logits();
        double noise = PeersNoise(model, folder, Logits);

        adapters.Add("peft", PeftFolder.Read(folder), folder);
        adapters.Use("peft");

        Assert.IsLessThanOrEqualTo(1e-5 + noise, Largest(golden.Tensors["start.logits"] - Logits().cpu()));
        adapters.Use(null);
        Assert.IsTrue(before.cpu().bytes.SequenceEqual(Logits().cpu().bytes));

        Tensor Logits() => model.Logits(model.Forward(model.Embed(golden.Tensors["batches.input_ids"][0].to(TestDevice.Current))));
    }

    /// <summary>Not only merged: as it trains.</summary>
    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void AnAdapterInPlaceGivesTheSame(string folder)
    {
        string run = TestData.Require(folder)[..^"-adapter".Length];
        using JsonDocument settings = JsonDocument.Parse(File.ReadAllText(run + ".json"));
        using Checkpoint golden = Checkpoint.OpenFile(run + ".safetensors");
        using CausalLM model = CausalLM.Load(
            TestData.Golden("models", settings.RootElement.GetProperty("base").GetString()!),
            ScalarType.Float32, TestDevice.Current);
        using AdapterWeights weights = PeftFolder.Read(folder);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        double noise = PeersNoise(model, folder, Logits);

        AdapterSet.Inject(model, weights.TargetModules, new StoredMethod((path, linear) => weights.Restore(path, linear)));

        Assert.IsLessThanOrEqualTo(1e-5 + noise, Largest(golden.Tensors["start.logits"] - Logits().cpu()));

        Tensor Logits() => model.Logits(model.Forward(model.Embed(golden.Tensors["batches.input_ids"][0].to(TestDevice.Current))));
    }

    /// <summary>
    /// What PEFT's own decomposition moves the logits by. It takes B₀A₀ of a float32 SVD out of W and puts the file's B A in; the file was
    /// written before training, so B A is that B₀A₀, and PEFT has W again. Who takes the true leading part out has W + N, N being B A less
    /// the true leading part: this measures N's effect, with a decomposition of its own. N is rounding: a float32 SVD is the exact one of
    /// some W + E with ‖E‖ of a few 2⁻²³ σ₁, say four, which turns the leading subspaces by at most ‖E‖ / (σᵣ − σᵣ₊₁) each (Wedin), and
    /// what they carry across there is no larger than σᵣ.
    /// </summary>
    private static double PeersNoise(CausalLM model, string folder, Func<Tensor> logits)
    {
        using AdapterWeights weights = PeftFolder.Read(folder);
        if (weights.Method.Method != FineTuningMethod.Pissa)
        {
            return 0;
        }

        Tensor before = logits();
        Dictionary<string, Linear> projections = model.Projections.ToDictionary(slot => slot.Path, slot => (Linear)slot.Module);
        var originals = new Dictionary<string, Tensor>();
        foreach ((string path, IReadOnlyDictionary<string, Tensor> parts) in weights.Tensors)
        {
            Parameter weight = projections[path].weight;
            Tensor a = parts["lora_A"].to(ScalarType.Float64, weight.device), b = parts["lora_B"].to(ScalarType.Float64, weight.device);
            (Tensor u, Tensor s, Tensor vt) = linalg.svd(weight.to(ScalarType.Float64), fullMatrices: false);
            long rank = a.shape[0];
            Tensor noise = (b.mm(a) * weights.Scale) - (u.narrow(1, 0, rank) * s.narrow(0, 0, rank)).mm(vt.narrow(0, 0, rank));
            double[] sigma = [.. s.cpu().data<double>()];
            double rounding = 4 * Math.ScaleB(sigma[0], -23), turn = 2 * sigma[rank - 1] / (sigma[rank - 1] - sigma[rank]);
            Assert.IsLessThanOrEqualTo(rounding * (1 + turn), Largest(noise), path);

            // The setter frees what was there, and what was there may be a file's own memory.
            originals[path] = weight.clone().DetachFromDisposeScope();
            Tensor moved = (weight.to(ScalarType.Float64) + noise).to(weight.dtype).DetachFromDisposeScope();
            projections[path].weight = new Parameter(moved, requires_grad: false);
        }

        double effect = Largest(logits() - before);
        foreach ((string path, Tensor original) in originals)
        {
            projections[path].weight = new Parameter(original, requires_grad: false);
        }

        return effect;
    }

    private static double Largest(Tensor tensor) => tensor.abs().max().to(ScalarType.Float64).item<double>();
}
