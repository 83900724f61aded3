using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>The weights that are adapted, found by their modules' names.</summary>
[TestClass]
[TestCategory("ForeignModels")]
public sealed class ForeignModelsTargetTests
{
    private static readonly string[] Projections = TinyModel.Targets;

    public static IEnumerable<object[]> Names => LookAlikes.Names;

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void TargetsAreTheModelsOwnTensors(string name)
    {
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> model = LookAlikes.Random(name, TinyModel.Config().Spec);
        Dictionary<string, Tensor> all = model.state_dict();

        foreach (string[] targets in new[] { Projections, ["q_proj"], ["lm_head", "down_proj", "nowhere"], ["embed_tokens"] })
        {
            IReadOnlyList<TargetWeight> found = TargetWeight.Find(model, targets);

            CollectionAssert.AreEquivalent(
                all.Keys.Where(key => targets.Any(target => $".{key}".EndsWith($".{target}.weight", StringComparison.Ordinal))).ToArray(),
                found.Select(target => $"{target.Path}.weight").ToArray());
            Assert.IsTrue(found.All(target => ReferenceEquals(target.Weight, all[$"{target.Path}.weight"])));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void WithoutNamesEveryMatrixButTheEmbeddingsIsATarget(string name)
    {
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> model = LookAlikes.Random(name, TinyModel.Config().Spec);

        string[] found = [.. TargetWeight.Find(model).Select(target => $"{target.Path}.weight")];

        string[] expected = [.. model.state_dict()
            .Where(named => named.Value.dim() == 2 && !named.Key.Contains("embed", StringComparison.Ordinal))
            .Select(named => named.Key)];
        CollectionAssert.AreEquivalent(expected, found);
    }

    [TestMethod]
    public void AModuleThatIsOneMatrixIsATarget()
    {
        using Linear linear = nn.Linear(3, 4);

        TargetWeight found = TargetWeight.Find(linear).Single();

        Assert.AreEqual("", found.Path);
        Assert.AreSame(linear.weight, found.Weight);
    }

    [TestMethod]
    public void AMatrixThatTwoModulesShareComesOnce()
    {
        using Linear shared = nn.Linear(3, 3);
        using nn.Module model = nn.Sequential(("first", shared), ("between", nn.ReLU()), ("second", shared));

        Assert.AreEqual("first", TargetWeight.Find(model).Single().Path);
    }

    [TestMethod]
    public void NamesThatMatchNothingAreAnErrorWithThoseThatDo()
    {
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> model = LookAlikes.Random("llama", TinyModel.Config().Spec);

        string message = Assert.ThrowsExactly<ArgumentException>(() => TargetWeight.Find(model, ["query", "norm"])).Message;

        Assert.StartsWith(
            "TargetModules: 'query, norm' matches no module with a floating-point matrix called weight. Name one or more of ", message);
        foreach (string name in Projections.Append("lm_head").Append("embed_tokens"))
        {
            Assert.HasCount(2, message.Split($" {name}"), $"{name} is not named once");
        }

        Assert.Contains("has no such module at all", Assert.ThrowsExactly<ArgumentException>(() => TargetWeight.Find(nn.ReLU())).Message);
        Assert.Contains(
            "no module but embeddings", Assert.ThrowsExactly<ArgumentException>(() => TargetWeight.Find(nn.Embedding(3, 4))).Message);
    }

    [TestMethod]
    [DataRow("8bit_weight")]
    [DataRow("4bit_weight")]
    public void AQuantisedModelIsRefused(string buffer)
    {
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> model = LookAlikes.Random("mistral", TinyModel.Config().Spec);
        model.modules().OfType<LookAlikeFeedForward>().Last().Quantise(buffer);

        foreach (string[]? targets in new string[]?[] { null, ["q_proj"] })
        {
            string message = Assert.ThrowsExactly<NotSupportedException>(() => TargetWeight.Find(model, targets)).Message;

            Assert.StartsWith($"The model is quantised: its module 'model.layers.1.mlp.up_proj' holds '{buffer}'.", message);
        }
    }
}
