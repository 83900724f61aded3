using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>Files that PEFT itself wrote.</summary>
[TestClass]
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
        using CausalLM model = CausalLM.Load(TestData.Golden("models", settings.RootElement.GetProperty("base").GetString()!), ScalarType.Float32, CPU);
        using var adapters = new AdapterSwitch(model, ScalarType.Float32);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor before = Logits();

        adapters.Add("peft", PeftFolder.Read(folder), folder);
        adapters.Use("peft");

        Assert.IsLessThanOrEqualTo(1e-5, Largest(golden.Tensors["start.logits"] - Logits()));
        adapters.Use(null);
        Assert.IsTrue(before.bytes.SequenceEqual(Logits().bytes));

        Tensor Logits() => model.Logits(model.Forward(model.Embed(golden.Tensors["batches.input_ids"][0])));
    }

    /// <summary>Not only merged: as it trains.</summary>
    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void AnAdapterInPlaceGivesTheSame(string folder)
    {
        string run = TestData.Require(folder)[..^"-adapter".Length];
        using JsonDocument settings = JsonDocument.Parse(File.ReadAllText(run + ".json"));
        using Checkpoint golden = Checkpoint.OpenFile(run + ".safetensors");
        using CausalLM model = CausalLM.Load(TestData.Golden("models", settings.RootElement.GetProperty("base").GetString()!), ScalarType.Float32, CPU);
        using AdapterWeights weights = PeftFolder.Read(folder);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();

        AdapterSet.Inject(model, weights.TargetModules, new StoredMethod((path, linear) => weights.Restore(path, linear)));

        Assert.IsLessThanOrEqualTo(1e-5, Largest(golden.Tensors["start.logits"] - model.Logits(model.Forward(model.Embed(golden.Tensors["batches.input_ids"][0])))));
    }

    private static double Largest(Tensor tensor) => tensor.abs().max().to(ScalarType.Float64).item<double>();
}
