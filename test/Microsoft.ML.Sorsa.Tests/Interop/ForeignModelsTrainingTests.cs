using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using Microsoft.ML.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>Fine-tuning of model objects: look-alikes of GenAI's classes through the one loop, their weights written in place.</summary>
[TestClass]
[DoNotParallelize]
public sealed class ForeignModelsTrainingTests
{
    private static readonly MLContext s_ml = new();

    private static readonly DecoderConfig s_config = DecoderConfig.Parse(
        Encoding.UTF8.GetBytes("""
            {"model_type": "llama", "vocab_size": 264, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "max_position_embeddings": 512, "tie_word_embeddings": false}
            """),
        "config.json");

    public static IEnumerable<object[]> Methods => Enum.GetValues<FineTuningMethod>().Where(method => method != FineTuningMethod.Full).Select(method => new object[] { method });

    [TestMethod]
    [DataRow("llama", false)]
    [DataRow("mistral", false)]
    [DataRow("llama", true)]
    [DataRow("mistral", true)]
    public void TheObjectItselfIsTrained(string name, bool byDelegate)
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random(name, s_config);
        model.eval();
        Dictionary<string, Tensor> tensors = model.state_dict().ToDictionary(named => named.Key, named => named.Value), before = Copy(model);
        bool[] trainable = [.. model.parameters().Select(parameter => parameter.requires_grad)];
        var losses = new List<double>();
        Options options = Settings(losses);

        using SorsaTransformer transformer = s_ml.Sorsa().FineTune(model, Tokens(), options, byDelegate ? Forward : null).Fit(TinyTask.Data(s_ml));

        Assert.IsLessThan(0.8 * losses[0], losses[^1]);
        foreach ((string key, Tensor tensor) in model.state_dict())
        {
            bool target = key.EndsWith("q_proj.weight", StringComparison.Ordinal) || key.EndsWith("down_proj.weight", StringComparison.Ordinal);
            Assert.AreSame(tensors[key], tensor);
            Assert.AreNotEqual(target, tensor.bytes.SequenceEqual(before[key].bytes), key);
        }

        CollectionAssert.AreEqual(trainable, model.parameters().Select(parameter => parameter.requires_grad).ToArray());
        Assert.IsFalse(model.training);
        Assert.HasCount(4, transformer.MergeReport!.Matrices);
        Assert.HasCount(TinyTask.Rows.Length, TinyTask.Answers(transformer, TinyTask.Data(s_ml)));

        Assert.IsFalse(model.buffers().Any(buffer => buffer.requires_grad));

        Tensor Forward(Tensor ids)
        {
            (model as LlamaLookAlike)?.modules().OfType<CacheHolder>().Single().UseCache(null);
            return model.call(new CausalLookAlikeInput(ids, useCache: false)).Logits!;
        }
    }

    [TestMethod]
    [DynamicData(nameof(Methods))]
    public void EveryMethodButFullTrains(FineTuningMethod method)
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random("llama", s_config);
        var losses = new List<double>();
        Options options = Settings(losses);
        options.Method = method;
        options.Rank = method == FineTuningMethod.Partial ? null : options.Rank;
        options.LearningRate = method == FineTuningMethod.AdaLora ? 0.1 : options.LearningRate;

        using SorsaTransformer transformer = s_ml.Sorsa().FineTune(model, Tokens(), options).Fit(TinyTask.Data(s_ml));

        Assert.IsLessThan(0.85 * losses[0], losses[^1]);
    }

    /// <summary>The same weights, rows and seed in our own decoder, whose adapters are modules with a forward of their own.</summary>
    [TestMethod]
    [DataRow("llama")]
    [DataRow("mistral")]
    public void ItTrainsAsOurDecoderDoes(string name)
    {
        using var scope = NewDisposeScope();
        using var theirs = LookAlikes.Random(name, s_config);
        using CausalLM ours = SameWeights(theirs);
        int[][] texts = [.. Enumerable.Range(0, 24).Select(i => Enumerable.Range(0, 10).Select(j => (i * 7 + j * j) % 264).ToArray())];
        Sorsa.Data.SupervisedExample[] rows = [.. texts.Select(ids => new Sorsa.Data.SupervisedExample(ids, 3))];

        List<double> expected = Train(ours, AdapterSet.Inject(ours, ["q_proj", "down_proj"], Method()));
        Sorsa.Interop.ForeignModel foreign = Sorsa.Interop.ForeignModel.Bind(theirs);
        List<double> actual = Train(foreign, AdapterSet.Inject(
            Sorsa.Interop.TargetWeight.Find(theirs, ["q_proj", "down_proj"]).Select(target => new WeightSite(target.Path, target.Weight)), Method()));

        foreach ((double wanted, double got) in expected.Zip(actual))
        {
            Assert.AreEqual(wanted, got, 1e-4);
        }

        Assert.AreNotEqual(expected[0], expected[^1], 0.05);

        static SorsaMethod Method() => new() { Rank = 4, Gamma = 0.01, Decomposition = new Generator(3) };

        List<double> Train(ITrainedModel model, AdapterSet adapters)
        {
            var losses = new List<double>();
            new TrainingLoop(model, adapters, new TrainingOptions { LearningRate = 0.01, WarmupRatio = 0 }).Run(
                rows.Chunk(4).Select(chunk => chunk.Chunk(2).ToArray()), 6, null, progress => losses.Add(progress.Loss), CancellationToken.None);
            return losses;
        }
    }

    [TestMethod]
    public void HalfPrecisionWeightsStayWhatTheyAre()
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random("llama", s_config);
        foreach (Tensor weight in model.state_dict().Where(named => named.Key.EndsWith("q_proj.weight", StringComparison.Ordinal)).Select(named => named.Value))
        {
            using var noGrad = no_grad();
            weight.copy_(weight.to(ScalarType.BFloat16));
        }

        using var linear = nn.Linear(6, 5, hasBias: false, dtype: ScalarType.BFloat16);
        using var generator = new Generator(1);
        var site = new WeightSite("it", linear.weight);
        AdapterSet adapters = AdapterSet.Inject([site], new LoraMethod { Rank = 2, Scale = 1, Initialization = generator });

        adapters.BeforeForward();
        linear.call(ones(3, 6, ScalarType.BFloat16)).sum().backward();
        adapters.AfterBackward();
        Assert.IsTrue(adapters.Trainable.All(named => named.Value.grad is { dtype: ScalarType.Float32 }));
        adapters.Merge(ScalarType.BFloat16);
        Assert.AreEqual(ScalarType.BFloat16, linear.weight.dtype);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void ATrainingThatFailsPutsTheWeightsBack(bool cancelled)
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random("mistral", s_config);
        Dictionary<string, Tensor> before = Copy(model);
        using var source = new CancellationTokenSource();
        Options options = Settings([]);
        options.CancellationToken = source.Token;
        options.Progress = new Listener(progress =>
        {
            if (progress.Step == 3)
            {
                Fail();
            }
        });

        SorsaFineTuningTrainer trainer = s_ml.Sorsa().FineTune(model, Tokens(), options);
        Exception error = Assert.Throws<Exception>(() => trainer.Fit(TinyTask.Data(s_ml)));

        Assert.IsTrue(cancelled ? error is OperationCanceledException : error is TimeoutException);
        Assert.IsTrue(model.state_dict().All(named => named.Value.bytes.SequenceEqual(before[named.Key].bytes)));
        Assert.IsTrue(model.parameters().All(parameter => parameter.requires_grad));

        void Fail()
        {
            if (!cancelled)
            {
                throw new TimeoutException("a listener that fails");
            }

            source.Cancel();
        }
    }

    [TestMethod]
    public void ValidationKeepsTheBestWeights()
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random("llama", s_config);
        var log = new List<SorsaTrainingProgress>();
        Options options = Settings([]);
        (options.EvaluationSteps, options.LearningRate, options.LearningRateDecay, options.Progress) = (1, 2, LearningRateDecay.Constant, new Listener(log.Add));

        using SorsaTransformer transformer = s_ml.Sorsa().FineTune(model, Tokens(), options).Fit(TinyTask.Data(s_ml), TinyTask.Data(s_ml));

        double best = log.Min(progress => progress.ValidationLoss!.Value);
        Assert.IsGreaterThan(best, log[^1].ValidationLoss!.Value);
    }

    [TestMethod]
    public void StepsLeaveNoTensorBehind()
    {
        using var model = LookAlikes.Random("llama", s_config);
        Options options = Settings([]);
        var counts = new List<long>();
        options.NumberOfEpochs = 10;
        options.Progress = new Listener(_ => counts.Add(Tensor.TotalCount));

        using SorsaTransformer transformer = s_ml.Sorsa().FineTune(model, Tokens(), options).Fit(TinyTask.Data(s_ml));

        Assert.HasCount(30, counts);

        // The look-alike leaves its own intermediate tensors to the loop's scope, or to the collector: never more than a step's.
        Assert.AreEqual(counts[5], counts[^1]);
    }

    public static IEnumerable<object[]> Refusals =>
    [
        ["Method is Full, and of a model object only the targets can train", With(options => (options.Method, options.Rank, options.TargetModules) = (FineTuningMethod.Full, null, new Options().TargetModules))],
        ["Dropout is 0.1, and a model object computes with the adapted weight itself", With(options => options.Dropout = 0.1)],
        ["Quantization is NF4, and a model object", With(options => options.Quantization = BaseQuantization.NF4)],
        ["ComputeType is BFloat16, and a model object", With(options => options.ComputeType = WeightType.BFloat16)],
        ["SavedType is Float32, and a model object", With(options => options.SavedType = WeightType.Float32)],
        ["ModelFolder is somewhere, and the model is an object", With(options => options.ModelFolder = "somewhere")],
        ["'qq_proj' matches no module", With(options => options.TargetModules = ["qq_proj"])],
        ["allows ranks from 1 to 16", With(options => options.Rank = 17)],
    ];

    [TestMethod]
    [DynamicData(nameof(Refusals))]
    public void WhatAModelObjectCannotDoIsRefused(string message, Action<Options> set)
    {
        using var model = LookAlikes.Random("llama", s_config);
        Options options = Settings([]);
        set(options);

        Assert.Contains(message, Assert.Throws<ArgumentException>(() => s_ml.Sorsa().FineTune(model, Tokens(), options)).Message);
    }

    [TestMethod]
    public void ModelAndTokenizerMustFit()
    {
        using var model = LookAlikes.Random("llama", s_config);
        using var narrow = LookAlikes.Random("llama", DecoderConfig.Parse(
            Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(s_config.Json).Replace("264", "100", StringComparison.Ordinal)), "config.json"));
        Options options = Settings([]);
        BpeTokenizer endless = ForeignModelsTokenizerTests.Pieces(null, null);

        Assert.Contains("endTokenId is null", Assert.ThrowsExactly<ArgumentException>(() => s_ml.Sorsa().FineTune(model, endless, options)).Message);
        Assert.IsNotNull(s_ml.Sorsa().FineTune(model, endless, options, endTokenId: 2));
        Assert.Contains("its end token is 700", Assert.ThrowsExactly<ArgumentException>(() => s_ml.Sorsa().FineTune(model, endless, options, endTokenId: 700)).Message);
        Assert.Contains("the model gives scores for 100", Assert.ThrowsExactly<ArgumentException>(() => s_ml.Sorsa().FineTune(narrow, Tokens(), options)).Message);
        Assert.Contains("logits must be floating-point numbers", Assert.ThrowsExactly<ArgumentException>(
            () => s_ml.Sorsa().FineTune(model, Tokens(), options, ids => ids)).Message);
        Assert.Contains("has no shape that is understood", Assert.ThrowsExactly<NotSupportedException>(
            () => s_ml.Sorsa().FineTune(new LookAlikeAttentionOnly(s_config), Tokens(), options)).Message);
    }

    private static Options Settings(List<double> losses) => new()
    {
        Rank = 4,
        TargetModules = ["q_proj", "down_proj"],
        LearningRate = 0.05,
        BatchSize = 4,
        NumberOfEpochs = 12,
        Generation = new() { MaxNewTokens = 3 },
        PromptTemplate = Sorsa.Data.PromptTemplate.Format("{prompt} "),
        Progress = new Listener(progress => losses.Add(progress.Loss)),
    };

    private static BpeTokenizer Tokens() => ForeignModelsTokenizerTests.Pieces("<s>", "</s>");

    private static Action<Options> With(Action<Options> set) => set;

    private static Dictionary<string, Tensor> Copy(nn.Module model) => model.state_dict().ToDictionary(named => named.Key, named => named.Value.detach().clone());

    private static CausalLM SameWeights(nn.Module model)
    {
        using var stream = new MemoryStream();
        CheckpointWriter.Write(stream, [.. model.state_dict().OrderBy(named => named.Key, StringComparer.Ordinal).Select(named => KeyValuePair.Create(named.Key, named.Value))], ScalarType.Float32);
        stream.Position = 0;
        using Checkpoint checkpoint = Checkpoint.Read(stream, stream.Length, "a look-alike");
        return CausalLM.Load(s_config, checkpoint, ScalarType.Float32, CPU);
    }

    private sealed class Listener(Action<SorsaTrainingProgress> listen) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => listen(value);
    }

    /// <summary>It has targets, and a forward that takes something else.</summary>
    private sealed class LookAlikeAttentionOnly : nn.Module<LookAlikeLayerInput, Tensor>
    {
        private readonly LookAlikeAttention q_proj;

        public LookAlikeAttentionOnly(DecoderConfig config)
            : base(nameof(LookAlikeAttentionOnly))
        {
            q_proj = new LookAlikeAttention(config, 0);
            RegisterComponents();
        }

        public override Tensor forward(LookAlikeLayerInput input) => q_proj.forward(input);
    }
}
