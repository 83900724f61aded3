using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Models;

/// <summary>Registered names are checkpoint names, through injection and merge, and no tensor is registered twice.</summary>
[TestClass]
[TestCategory("Models")]
public sealed class ModelNamesTests
{
    [TestMethod]
    [DataRow(false, false)]
    [DataRow(true, false)]
    [DataRow(false, true)]
    [DataRow(true, true)]
    public void NamesAreTheCheckpointsBeforeAndAfterAnAdaptation(bool bias, bool tied)
    {
        using var scope = NewDisposeScope();
        CausalLM model = TinyModel.Create(bias: bias, tied: tied);
        string[] expected = [.. CausalLM.Layout(model.Spec).Tensors.Keys];
        string[] targets = ["q_proj", "down_proj"];
        AssertNames(expected, model);

        AdapterSet adapters = TinyModel.Adapt(model, targets: targets);

        string[] parts = ["frozen.weight", "start_A", "start_B", "U", "s", "Vt"];
        AssertNames(
            [.. expected.SelectMany(name => targets.Any(target => name.EndsWith($".{target}.weight", StringComparison.Ordinal))
                ? parts.Select(part => name.Replace(".weight", "." + part, StringComparison.Ordinal)) : [name])],
            model);
        string[] trainable =
            [.. model.named_parameters().Where(named => named.parameter.requires_grad).Select(named => named.name)];
        CollectionAssert.AreEquivalent(adapters.Trainable.Select(named => named.Key).ToArray(), trainable);

        adapters.Merge(ScalarType.Float32);

        AssertNames(expected, model);
        Assert.IsTrue(model.NamedWeights.All(named => named.Value.shape.SequenceEqual(CausalLM.Layout(model.Spec).Tensors[named.Key])));
        Assert.IsFalse(model.NamedWeights.Any(named => named.Value.requires_grad));
    }

    [TestMethod]
    public void ABiasOutlivesTheModulesThatHandedItOn()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        CausalLM model = TinyModel.Create(bias: true);
        Tensor ids = arange(12, ScalarType.Int64).view(2, 6);
        Tensor before = model.Logits(model.Forward(model.Embed(ids)));

        AdapterSet adapters = TinyModel.Adapt(model);
        Collect();
        ModelsGoldenTests.AssertClose(before, model.Logits(model.Forward(model.Embed(ids))), 1e-4);
        adapters.Merge(ScalarType.Float32);
        Collect();

        ModelsGoldenTests.AssertClose(before, model.Logits(model.Forward(model.Embed(ids))), 1e-4);

        static void Collect()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    private static void AssertNames(string[] expected, CausalLM model)
    {
        CollectionAssert.AreEquivalent(expected, model.NamedWeights.Select(named => named.Key).ToArray());
        CollectionAssert.AreEquivalent(expected, model.state_dict().Keys.ToArray());
        Assert.IsEmpty(model.named_buffers());
        CollectionAssert.AllItemsAreUnique(model.NamedWeights.Select(named => TensorAddress.Of(named.Value)).ToArray());
    }
}
