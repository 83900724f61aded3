using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>From a model object to its logits, by the shape of its class or by a delegate.</summary>
[TestClass]
[TestCategory("ForeignModels")]
public sealed class ForeignModelsBindingTests
{
    public static IEnumerable<object[]> Names => LookAlikes.Names;

    /// <summary>The look-alikes are what they should be: Llama's arithmetic, and a cache that leaks.</summary>
    [TestMethod]
    [DynamicData(nameof(Names))]
    public void ALookAlikeIsALlamaThatRemembers(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using CausalLM ours = CausalLM.Load(TestData.TinyLlama, ScalarType.Float32, CPU);
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> theirs = LookAlikes.Load(name, TestData.TinyLlama);
        Tensor ids = Ids(2, 9, ours.Spec.VocabularySize);

        Tensor first = theirs.forward(new CausalLookAlikeInput(ids)).Logits!,
            second = theirs.forward(new CausalLookAlikeInput(ids)).Logits!;

        Assert.IsLessThan(1e-4, Distance(first, ours.Logits(ours.Forward(ours.Embed(ids)))));
        Assert.IsGreaterThan(1e-2, Distance(first, second));
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void ABoundModelGivesWhatForwardGivesAndForgets(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> byHand = LookAlikes.Random(name, TinyModel.Config().Spec),
            bound = LookAlikes.Random(name, TinyModel.Config().Spec);
        GrowingCache cache = LookAlikes.Cache(bound)!;
        Tensor ids = Ids(3, 7, TinyModel.VocabularySize);
        Tensor expected = byHand.forward(new CausalLookAlikeInput(ids, useCache: false)).Logits!;

        ForeignModel model = ForeignModel.Bind(bound);

        Assert.AreEqual(TinyModel.VocabularySize, model.VocabularySize);
        for (int call = 0; call < 3; call++)
        {
            Assert.AreEqual(0, Distance(expected, model.Logits(ids)));
        }

        Assert.IsNull(LookAlikes.Cache(bound));
        Assert.IsFalse(cache.Disposed);
    }

    /// <summary>The users' own generation may give the model a cache again between two of our calls.</summary>
    [TestMethod]
    public void ACacheThatComesBackIsTakenAwayAgain()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> module = LookAlikes.Random("mistral", TinyModel.Config().Spec);
        ForeignModel model = ForeignModel.Bind(module);
        Tensor ids = Ids(1, 5, TinyModel.VocabularySize), expected = model.Logits(ids);
        module.modules().OfType<CacheHolder>().Single().UseCache(new GrowingCache());
        module.forward(new CausalLookAlikeInput(ids));

        Assert.AreEqual(0, Distance(expected, model.Logits(ids)));
    }

    [TestMethod]
    public void APlainModuleAndADelegateAreBound()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using nn.Module<Tensor, Tensor> plain = nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 11));
        using Pair pair = new(plain);
        Tensor ids = Ids(2, 3, 11), expected = plain.forward(ids);

        foreach (ForeignModel model in new[]
        {
            ForeignModel.Bind(plain), ForeignModel.Bind(pair, given => pair.forward(given, 0)), ForeignModel.Bind(new RecordInput(plain)),
        })
        {
            Assert.AreEqual(0, Distance(expected, model.Logits(ids)));
            Assert.AreEqual(11, model.VocabularySize);
        }
    }

    [TestMethod]
    public void AClassOfNoKnownShapeIsRefused()
    {
        using nn.Module<Tensor, Tensor> plain = nn.Linear(2, 2);
        foreach (nn.Module module in new nn.Module[] { new Pair(plain), new NoLogits(), new NeedsMore(plain) })
        {
            string message = Assert.ThrowsExactly<NotSupportedException>(() => ForeignModel.Bind(module)).Message;

            Assert.StartsWith($"The model class {module.GetType()} has no shape that is understood.", message);
            foreach (string part in new[]
            {
                "Module<Tensor, Tensor>", "forward(input)", "Logits", "inputIds", "LlamaForCausalLM", "a delegate Func<Tensor, Tensor>",
            })
            {
                Assert.Contains(part, message);
            }
        }
    }

    [TestMethod]
    public void LogitsOfAnotherShapeAreRefused()
    {
        using var scope = NewDisposeScope();
        using nn.Module<Tensor, Tensor> plain = nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 11));
        (Func<Tensor, Tensor> Forward, string Message)[] cases =
        [
            (ids => plain.forward(ids)[.., -1],
                "The delegate gave Float32 [1, 11] for token ids [1, 1]; logits must be floating-point numbers [1, 1, vocabulary]"),
            (ids => plain.forward(ids).transpose(1, 2), "The delegate gave Float32 [1, 11, 1] for token ids [1, 1]"),
            (ids => ids.unsqueeze(2), "The delegate gave Int64 [1, 1, 1]"),
            (ids => plain.forward(ids).sum(), "The delegate gave Float32 [] for token ids [1, 1]"),
            (ids => null!, "The delegate gave null for logits."),
        ];

        foreach ((Func<Tensor, Tensor> forward, string message) in cases)
        {
            Assert.StartsWith(message, Assert.ThrowsExactly<ArgumentException>(() => ForeignModel.Bind(plain, forward)).Message);
        }

        string own = Assert.ThrowsExactly<ArgumentException>(() => ForeignModel.Bind(nn.Flatten())).Message;
        Assert.StartsWith("The forward of TorchSharp.Modules.Flatten gave Int64 [1, 1]", own);
    }

    /// <summary>With one row of one token all is well.</summary>
    [TestMethod]
    public void EveryCallIsChecked()
    {
        using var scope = NewDisposeScope();
        using nn.Module<Tensor, Tensor> plain = nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 11));
        ForeignModel lastOnly = ForeignModel.Bind(plain, ids => plain.forward(ids).narrow(1, ids.shape[1] - 1, 1));
        ForeignModel grows = ForeignModel.Bind(plain, ids => plain.forward(ids)[.., .., ..(Index)(int)(ids.shape[1] + 8)]);

        Assert.StartsWith(
            "The delegate gave Float32 [2, 1, 11] for token ids [2, 3]; logits must be floating-point numbers [2, 3, 11]",
            Assert.ThrowsExactly<ArgumentException>(() => lastOnly.Logits(Ids(2, 3, 11))).Message);
        Assert.StartsWith(
            "The delegate gave Float32 [1, 2, 10] for token ids [1, 2]; logits must be floating-point numbers [1, 2, 9]",
            Assert.ThrowsExactly<ArgumentException>(() => grows.Logits(Ids(1, 2, 9))).Message);
    }

    [TestMethod]
    public void WhatAModelThrowsComesThroughAsItIs()
    {
        using nn.Module<Tensor, Tensor> plain = nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 11));
        ForeignModel model = ForeignModel.Bind(
            plain, ids => ids.shape[1] == 1 ? plain.forward(ids) : throw new InvalidOperationException("theirs"));

        Assert.AreEqual("theirs", Assert.ThrowsExactly<InvalidOperationException>(() => model.Logits(Ids(1, 2, 11))).Message);
    }

    internal static Tensor Ids(int rows, int tokens, int vocabulary) =>
        tensor(Enumerable.Range(0, rows * tokens).Select(i => ((i * 7L) + 3) % vocabulary).ToArray(), [rows, tokens]);

    private static double Distance(Tensor a, Tensor b) => (a - b).abs().max().item<float>();

    /// <summary>Takes two arguments.</summary>
    private sealed class Pair(nn.Module<Tensor, Tensor> inner) : nn.Module<Tensor, int, Tensor>(nameof(Pair))
    {
        public override Tensor forward(Tensor ids, int more) => inner.forward(ids);
    }

    /// <summary>Its result has no logits.</summary>
    private sealed class NoLogits() : nn.Module<CausalLookAlikeInput, string>(nameof(NoLogits))
    {
        public override string forward(CausalLookAlikeInput input) => "";
    }

    private sealed record Demanding(Tensor InputIds, Tensor AttentionMask);

    /// <summary>Its input cannot be made from ids alone.</summary>
    private sealed class NeedsMore(nn.Module<Tensor, Tensor> inner) : nn.Module<Demanding, CausalLookAlikeOutput>(nameof(NeedsMore))
    {
        public override CausalLookAlikeOutput forward(Demanding input) => new(inner.forward(input.InputIds));
    }

    private sealed record Given(Tensor InputIds, bool UseCache, DayOfWeek Day = DayOfWeek.Friday, int? Number = 3, TimeSpan Time = default);

    /// <summary>Its input is a record with defaults of every kind.</summary>
    private sealed class RecordInput(nn.Module<Tensor, Tensor> inner) : nn.Module<Given, CausalLookAlikeOutput>(nameof(RecordInput))
    {
        public override CausalLookAlikeOutput forward(Given input)
        {
            Assert.AreEqual((false, DayOfWeek.Friday, 3, TimeSpan.Zero), (input.UseCache, input.Day, input.Number, input.Time));
            return new CausalLookAlikeOutput(inner.forward(input.InputIds));
        }
    }
}
