using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

[TestClass]
[TestCategory("Adapters")]
[TestCategory("Numeric")]
public sealed class SorsaAdapterSetTests
{
    [TestMethod]
    [DataRow("q_proj", "model.layers.0.self_attn.q_proj model.layers.1.self_attn.q_proj")]
    [DataRow(
        "up_proj down_proj",
        "model.layers.0.mlp.down_proj model.layers.0.mlp.up_proj " +
        "model.layers.1.mlp.down_proj model.layers.1.mlp.up_proj")]
    [DataRow("v_proj v_proj", "model.layers.0.self_attn.v_proj model.layers.1.self_attn.v_proj")]
    public void TargetsAreFoundByName(string targets, string expected)
    {
        using var scope = NewDisposeScope();
        CausalLM model = TinyModel.Create();

        AdapterSet adapters = TinyModel.Adapt(model, targets: targets.Split(' '));

        CollectionAssert.AreEqual(
            expected.Split(' '),
            adapters.Adapters.Select(named => named.Key).Order(StringComparer.Ordinal).ToArray());
        Assert.HasCount(3 * adapters.Adapters.Count(), adapters.Trainable);
        Assert.HasCount(2 * adapters.Adapters.Count(), adapters.OrthonormalFactors);
    }

    [TestMethod]
    [DataRow("k_prj", "'k_prj' matches no projection")]
    [DataRow("q_proj proj", "'proj' matches no projection")]
    [DataRow("lm_head", "'lm_head' matches no projection")]
    [DataRow("Q_proj", "'Q_proj' matches no projection")]
    [DataRow("self_attn.q_proj", "'self_attn.q_proj' matches no projection")]
    [DataRow("", "'' matches no projection")]
    public void AnUnknownTargetIsRefused(string targets, string message)
    {
        var error = Assert.ThrowsExactly<ArgumentException>(() => AdapterSet.Verify(TinyModel.Config(), targets.Split(' '), 1));

        Assert.AreEqual("targetModules", error.ParamName);
        Assert.Contains(message, error.Message);
        Assert.IsTrue(TinyModel.Targets.All(target => error.Message.Contains(target, StringComparison.Ordinal)));
    }

    [TestMethod]
    public void NoTargetIsRefused() => Assert.ThrowsExactly<ArgumentException>(() => AdapterSet.Verify(TinyModel.Config(), [], 1));

    [TestMethod]
    [DataRow(0, "down_proj", "[16, 24] and allows ranks from 1 to 16")]
    [DataRow(-3, "q_proj", "[16, 16] and allows ranks from 1 to 16")]
    [DataRow(17, "down_proj", "[16, 24] and allows ranks from 1 to 16")]
    [DataRow(9, "q_proj k_proj", "[8, 16] and allows ranks from 1 to 8")]
    public void ARankThatATargetDoesNotAllowIsRefused(int rank, string targets, string message)
    {
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => AdapterSet.Verify(TinyModel.Config(), targets.Split(' '), rank));

        Assert.AreEqual("rank", error.ParamName);
        Assert.AreEqual(rank, error.ActualValue);
        Assert.Contains(message, error.Message);
        Assert.Contains("Choose a Rank in that range", error.Message);
    }

    [TestMethod]
    public void TheRankIsLimitedByTheTargetsAlone()
    {
        AdapterSet.Verify(TinyModel.Config(), ["q_proj", "down_proj"], 16);
        AdapterSet.Verify(TinyModel.Config(), TinyModel.Targets, 8);
    }

    [TestMethod]
    [DataRow(ScalarType.Float32)]
    [DataRow(ScalarType.BFloat16)]
    [DataRow(ScalarType.Float16)]
    public void MergingRoundsOnceToTheStoredType(ScalarType stored)
    {
        using var scope = NewDisposeScope();
        CausalLM model = TinyModel.Create(bias: true);
        AdapterSet adapters = TinyModel.Adapt(model);
        Disturb(adapters);
        var expected = adapters.Adapters.ToDictionary(named => named.Key + ".weight", named => named.Value.MergedWeight().to(stored));
        var biases = model.NamedWeights.Where(named => named.Key.EndsWith(".bias", StringComparison.Ordinal))
            .ToDictionary(named => named.Key, named => named.Value.clone());

        adapters.Merge(stored);

        var merged = model.NamedWeights.ToDictionary(named => named.Key, named => named.Value);
        foreach ((string name, Tensor weight) in expected)
        {
            Assert.AreEqual(ScalarType.Float32, merged[name].dtype);
            Assert.IsTrue(merged[name].to(stored).cpu().bytes.SequenceEqual(weight.cpu().bytes), name);
            Assert.IsTrue(merged[name].cpu().bytes.SequenceEqual(weight.to(ScalarType.Float32).cpu().bytes), name);
        }

        Assert.IsNotEmpty(biases);
        Assert.IsTrue(biases.All(named => merged[named.Key].cpu().bytes.SequenceEqual(named.Value.cpu().bytes)));
    }

    [TestMethod]
    public void AMergedModelComputesWhatTheAdaptedOneDid()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        CausalLM model = TinyModel.Create(ScalarType.Float64, bias: true);
        Tensor ids = arange(12, ScalarType.Int64).OnDevice().view(2, 6);
        AdapterSet adapters = TinyModel.Adapt(model, scale: 2);
        Disturb(adapters);
        Tensor before = model.Logits(model.Forward(model.Embed(ids)));

        adapters.Merge(ScalarType.Float64);

        ModelsGoldenTests.AssertClose(before, model.Logits(model.Forward(model.Embed(ids))), 1e-12);
        Assert.IsEmpty(adapters.Trainable);
    }

    [TestMethod]
    public void InjectionStopsBetweenTwoProjectionsWhenCancelled()
    {
        using var scope = NewDisposeScope();
        using var cancellation = new CancellationTokenSource();
        using var generator = new Generator(1);
        CausalLM model = TinyModel.Create();
        int made = 0;

        Assert.ThrowsExactly<OperationCanceledException>(() => AdapterSet.Inject(
            model, TinyModel.Targets,
            new StoredMethod((path, linear) =>
            {
                if (++made == 3)
                {
                    cancellation.Cancel();
                }

                return new SorsaMethod { Rank = 2, Decomposition = Decomposition.Drawn(generator) }.Create(path, linear);
            }),
            cancellation.Token));

        Assert.AreEqual(3, made);
    }

    private static void Disturb(AdapterSet adapters)
    {
        using var noGrad = no_grad();
        using var generator = new Generator(13);
        foreach (var (_, parameter) in adapters.Trainable)
        {
            parameter.add_(randn(parameter.shape, parameter.dtype, generator: generator).OnDevice(), 0.05);
        }
    }
}
