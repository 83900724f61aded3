using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>Against transformers' logits, losses and gradients of tiny random checkpoints.</summary>
[TestClass]
[TestCategory("Models")]
public sealed class ModelsGoldenTests
{
    public static IEnumerable<object[]> Folders => TestData.Rows(TestData.Golden("models"), "*");

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void LogitsWithLeftPadding(string folder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (CausalLM model, Checkpoint golden) = Load(folder);
        Tensor mask = golden.Tensors["left.attention_mask"];

        Tensor logits = model.Logits(model.Forward(model.Embed(golden.Tensors["left.input_ids"]), mask));

        AssertClose(golden.Tensors["left.logits"], logits * mask.unsqueeze(-1), 1e-5);
    }

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void LossAndGradientsWithRightPadding(string folder)
    {
        using var scope = NewDisposeScope();
        (CausalLM model, Checkpoint golden) = Load(folder);
        foreach (var (_, parameter) in model.named_parameters())
        {
            parameter.requires_grad = true;
        }

        Tensor labels = golden.Tensors["right.labels"];
        Tensor logits = model.Logits(model.Forward(model.Embed(golden.Tensors["right.input_ids"])));
        Tensor loss = nn.functional.cross_entropy(
            logits.narrow(1, 0, labels.shape[1] - 1).flatten(0, 1), labels.narrow(1, 1, labels.shape[1] - 1).flatten());
        loss.backward();

        AssertClose(golden.Tensors["right.logits"], logits * golden.Tensors["right.attention_mask"].unsqueeze(-1), 1e-5);
        Assert.AreEqual(golden.Tensors["right.loss"].item<float>(), loss.item<float>(), 3e-6);
        var parameters = model.NamedWeights.ToDictionary(named => named.Key, named => named.Value, StringComparer.Ordinal);
        string[] gradients = [.. golden.Names.Where(name => name.StartsWith("grad.", StringComparison.Ordinal))];
        Assert.AreNotEqual(0, gradients.Length);
        foreach (string name in gradients)
        {
            Tensor expected = golden.Tensors[name];
            double error = (parameters[name["grad.".Length..]].grad! - expected).norm().item<float>() / expected.norm().item<float>();
            Assert.IsLessThanOrEqualTo(1e-5, error, name);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void CachedDecodingEqualsTheFullForward(string folder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (CausalLM model, Checkpoint golden) = Load(folder);
        Tensor ids = golden.Tensors["left.input_ids"], mask = golden.Tensors["left.attention_mask"];

        // Dynamic RoPE takes its base from the length of the call: the past would be turned otherwise (test/data/golden/README.md).
        long length = model.Spec.Rope.Type == RopeType.Dynamic ? model.Spec.MaxPositions : ids.shape[1];
        (ids, mask) = (ids.narrow(1, ids.shape[1] - length, length), mask.narrow(1, ids.shape[1] - length, length));
        Tensor full = model.Logits(model.Forward(model.Embed(ids), mask)) * mask.unsqueeze(-1);
        foreach (int[] chunks in new[] { Enumerable.Repeat(1, (int)length).ToArray(), [3, 1, 5, (int)length - 9], [(int)length - 1, 1] })
        {
            using var cache = new KVCache(model.Spec, ids.shape[0], (int)length, ScalarType.Float32, CPU);
            foreach (int chunk in chunks)
            {
                int past = cache.Length;
                Tensor logits = model.Logits(
                    model.Forward(model.Embed(ids.narrow(1, past, chunk)), mask.narrow(1, 0, past + chunk), cache));
                AssertClose(full.narrow(1, past, chunk), logits * mask.narrow(1, past, chunk).unsqueeze(-1), 1e-5);
            }

            // A row without padding, which needs no mask.
            using var alone = new KVCache(model.Spec, 1, (int)length, ScalarType.Float32, CPU);
            foreach (int chunk in chunks)
            {
                int past = alone.Length;
                Tensor logits = model.Logits(model.Forward(model.Embed(ids.narrow(0, 0, 1).narrow(1, past, chunk)), null, alone));
                AssertClose(full.narrow(0, 0, 1).narrow(1, past, chunk), logits, 1e-5);
            }
        }
    }

    [TestMethod]
    [DynamicData(nameof(Folders))]
    public void WeightsKeepTheirCheckpointNames(string folder)
    {
        TestData.Require(folder);
        using CausalLM model = CausalLM.Load(folder, ScalarType.Float32, CPU);
        using Checkpoint checkpoint = Checkpoint.OpenFolder(folder);

        CollectionAssert.AreEquivalent(checkpoint.Names.ToArray(), model.NamedWeights.Select(named => named.Key).ToArray());
        Assert.IsTrue(model.NamedWeights.All(named => named.Value.allclose(checkpoint.Tensors[named.Key].to(ScalarType.Float32), 0, 0)));
    }

    internal static void AssertClose(Tensor expected, Tensor actual, double tolerance)
    {
        CollectionAssert.AreEqual(expected.shape, actual.shape);
        double worst = (expected - actual).abs().max().to(ScalarType.Float64).item<double>();
        Assert.IsLessThanOrEqualTo(tolerance, worst);
    }

    private static (CausalLM Model, Checkpoint Golden) Load(string folder)
    {
        TestData.Require(folder);
        return (CausalLM.Load(folder, ScalarType.Float32, CPU), Checkpoint.OpenFile(Path.Combine(folder, "expected.safetensors")));
    }
}
