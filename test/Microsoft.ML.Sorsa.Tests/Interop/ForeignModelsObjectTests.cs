using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>What model objects do besides computing: they move, keep things in fields, and come in pipelines.</summary>
[TestClass]
[TestCategory("ForeignModels")]
[DoNotParallelize]
public sealed class ForeignModelsObjectTests
{
    private static readonly MLContext s_ml = new();

    /// <summary>220 MB a step on SmolLM2, had it a gradient.</summary>
    [TestMethod]
    public void AHeadThatIsNotRegisteredIsFrozen()
    {
        using var scope = NewDisposeScope();
        using var model = (LlamaLookAlike)LookAlikes.Random("llama", TinyModel.Config(tied: true).Spec);
        Assert.IsFalse(model.parameters().Any(parameter => ReferenceEquals(parameter, model.HeadWeight)));
        Tensor ids = ForeignModelsBindingTests.Ids(1, 6, TinyModel.VocabularySize);

        using (SorsaAdapters adapters = SorsaAdapters.Attach(model, new SorsaAdapterOptions { Rank = 2, TargetModules = ["q_proj"] }))
        {
            using Tensor loss = adapters.Backward(() => model.forward(new CausalLookAlikeInput(ids, useCache: false)).Logits!.sum());

            Assert.IsNull(model.HeadWeight.grad);
            Assert.IsFalse(model.HeadWeight.requires_grad);
            Assert.IsTrue(adapters.Parameters.Any(parameter => parameter.grad is not null));
        }

        Assert.IsTrue(model.HeadWeight.requires_grad);
    }

    /// <summary>Each text as if it was the first: the losses are those of three modules that each saw one.</summary>
    [TestMethod]
    [DataRow("llama")]
    [DataRow("mistral")]
    public void EveryBackwardStartsWithoutACache(string name)
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random(name, TinyModel.Config().Spec);
        using SorsaAdapters adapters = SorsaAdapters.Attach(model, new SorsaAdapterOptions { Rank = 2, TargetModules = ["q_proj"] });

        foreach (int length in new[] { 7, 5, 9 })
        {
            using var fresh = LookAlikes.Random(name, TinyModel.Config().Spec);
            using SorsaAdapters alone = SorsaAdapters.Attach(fresh, new SorsaAdapterOptions { Rank = 2, TargetModules = ["q_proj"] });
            Assert.AreEqual(Loss(fresh, alone, length), Loss(model, adapters, length));
        }

        static float Loss(nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> model, SorsaAdapters adapters, int length)
        {
            Tensor ids = ForeignModelsBindingTests.Ids(1, length, TinyModel.VocabularySize);
            using Tensor loss = adapters.Backward(() => nn.functional.cross_entropy(
                model.forward(new CausalLookAlikeInput(ids)).Logits![0], ids[0]));
            return loss.item<float>();
        }
    }

    /// <summary>A model is often moved once its trainer is made: it has other tensors then.</summary>
    [TestMethod]
    public void AModelThatIsCastAfterItsTrainerWasMadeIsTrained()
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random("mistral", ForeignModelsTrainingTests.Config.Spec);
        SorsaFineTuningTrainer trainer = s_ml.Sorsa().FineTune(
            model, ForeignModelsTrainingTests.Tokens(), ForeignModelsTrainingTests.Settings([]));
        model.to(ScalarType.BFloat16);
        Tensor[] before = [.. model.state_dict().Select(named => named.Value.clone())];

        using SorsaTransformer trained = trainer.Fit(TinyTask.Data(s_ml));

        Assert.Contains(named => !named.Value.bytes.SequenceEqual(before[named.Index].bytes),
            model.state_dict().Select((named, i) => (Index: i, named.Value)));
        Assert.IsTrue(model.state_dict().All(named => named.Value.dtype == ScalarType.BFloat16));
    }

    [TestMethod]
    public void LayersThatMoveInForwardAreRefused()
    {
        using nn.Module<Tensor, Tensor> inner = nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 11));
        using var says = new SaysThatItMoves(inner) { LoadToDeviceFunc = _ => { } };
        using var moves = new Moves();
        Tensor ids = ForeignModelsBindingTests.Ids(1, 3, 11);

        foreach ((nn.Module module, string message) in new (nn.Module, string)[]
        {
            (says, "moves its weights to another device in its forward (LoadToDeviceFunc is set)"),
            (moves, "forward puts another tensor in the place of 'weight'"),
        })
        {
            string refused = Assert.ThrowsExactly<NotSupportedException>(() => ForeignModel.Bind(module)).Message;
            Assert.Contains(message, refused);
            Assert.Contains("one device", refused);
        }

        Assert.ThrowsExactly<NotSupportedException>(() => SorsaAdapters.Attach(says, new SorsaAdapterOptions { Rank = 1 }));
        using SorsaAdapters adapters = SorsaAdapters.Attach(moves, new SorsaAdapterOptions { Rank = 1 });
        Assert.ThrowsExactly<NotSupportedException>(() => adapters.Backward(() => moves.forward(ids).sum()));
        says.LoadToDeviceFunc = null;
        Assert.AreEqual(11, ForeignModel.Bind(says).VocabularySize);
    }

    /// <summary>GenAI's classes keep their configuration in a field.</summary>
    [TestMethod]
    public void TheObjectSaysItselfHowManyPositionsItHas()
    {
        using nn.Module<Tensor, Tensor> inner = nn.Sequential(nn.Embedding(264, 4), nn.Linear(4, 264));
        using var model = new Configured(inner, positions: 9);

        Assert.AreEqual(9, ForeignModel.Bind(model).MaxPositions);
        Assert.AreEqual(5, ForeignModel.Bind(model, maxPositions: 5).MaxPositions);
        Assert.AreEqual(int.MaxValue, ForeignModel.Bind(inner).MaxPositions);
        SorsaFineTuningTrainer.Options options = ForeignModelsTrainingTests.Settings([]);
        (options.Rank, options.TargetModules) = (2, ["1"]);
        Assert.Contains("the model has 9 positions", Assert.ThrowsExactly<ArgumentException>(
            () => s_ml.Sorsa().FineTune(model, ForeignModelsTrainingTests.Tokens(), options).Fit(TinyTask.Data(s_ml))).Message);
    }

    [TestMethod]
    public void APipelineIsKnownByItsShape()
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random("llama", ForeignModelsTrainingTests.Config.Spec);
        Dictionary<string, Tensor> before = model.state_dict().ToDictionary(named => named.Key, named => named.Value.clone());
        BpeTokenizer tokens = ForeignModelsTrainingTests.Tokens();
        SorsaFineTuningTrainer.Options options = ForeignModelsTrainingTests.Settings([]);

        foreach (object pipeline in new object[] { new Pipeline(model, tokens), new HiddenPipeline(model, tokens) })
        {
            (nn.Module found, Tokenizer tokenizer) = PipelineBinding.Of(pipeline);
            Assert.AreSame(model, found);
            Assert.AreSame(tokens, tokenizer);
        }

        using SorsaTransformer trained = s_ml.Sorsa().FineTune(new Pipeline(model, tokens), options).Fit(TinyTask.Data(s_ml));

        Assert.Contains(named => !named.Value.bytes.SequenceEqual(before[named.Key].bytes), model.state_dict());
        foreach ((object wrong, string message) in new (object, string)[]
        {
            ("a folder", "System.String is no pipeline"), (model, "is a model and no pipeline"), (new { Model = model }, "is no pipeline"),
        })
        {
            Assert.Contains(message, Assert.ThrowsExactly<ArgumentException>(() => s_ml.Sorsa().FineTune(wrong, options)).Message);
        }
    }

    private sealed record Pipeline(nn.Module<CausalLookAlikeInput, CausalLookAlikeOutput> Model, BpeTokenizer Tokenizer);

    private interface IPipeline
    {
        nn.Module Model { get; }

        Tokenizer Tokenizer { get; }
    }

    private sealed class HiddenPipeline(nn.Module model, Tokenizer tokenizer) : IPipeline
    {
        nn.Module IPipeline.Model => model;

        Tokenizer IPipeline.Tokenizer => tokenizer;
    }

    private sealed record Settings(int MaxPositionEmbeddings);

    private sealed class Configured : nn.Module<Tensor, Tensor>
    {
        private readonly Settings _config;
        private readonly nn.Module<Tensor, Tensor> inner;

        public Configured(nn.Module<Tensor, Tensor> module, int positions)
            : base(nameof(Configured))
        {
            (_config, inner) = (new Settings(positions), module);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => input.shape[1] <= _config.MaxPositionEmbeddings
            ? inner.forward(input)
            : throw new InvalidOperationException("too long");
    }

    /// <summary>After GenAI's IDynamicLoadModule.</summary>
    private sealed class SaysThatItMoves : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> inner;

        public SaysThatItMoves(nn.Module<Tensor, Tensor> module)
            : base(nameof(SaysThatItMoves))
        {
            inner = module;
            RegisterComponents();
        }

        public Action<nn.Module>? LoadToDeviceFunc { get; set; }

        public override Tensor forward(Tensor input) => inner.forward(input);
    }

    /// <summary>Has another weight after each call, as a layer that went to a GPU and came back.</summary>
    private sealed class Moves : nn.Module<Tensor, Tensor>
    {
        private Tensor weight = ones(11, 11);

        public Moves()
            : base(nameof(Moves)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            Tensor output = weight.index_select(0, input.flatten()).view(1, -1, 11);
            _internal_buffers.Remove("weight");
            register_buffer("weight", weight = ones(11, 11).DetachFromDisposeScope());
            return output;
        }
    }
}
