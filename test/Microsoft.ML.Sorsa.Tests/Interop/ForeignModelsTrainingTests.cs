using System.Text;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Sorsa;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using Microsoft.ML.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>Fine-tuning of model objects: look-alikes of GenAI's classes through the one loop, their weights written in place.</summary>
[TestClass]
[TestCategory("ForeignModels")]
[TestCategory("Training")]
[DoNotParallelize]
public sealed class ForeignModelsTrainingTests
{
    private static readonly MLContext s_ml = new();

    internal static readonly DecoderConfig Config = DecoderConfig.Parse(
        Encoding.UTF8.GetBytes("""
            {"model_type": "llama", "vocab_size": 264, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "tie_word_embeddings": false}
            """),
        "config.json");

    public static IEnumerable<object[]> Methods => Enum.GetValues<FineTuningMethod>()
        .Where(method => method is not (FineTuningMethod.Full or FineTuningMethod.Lisa)).Select(method => new object[] { method });

    [TestMethod]
    [DataRow("llama", false)]
    [DataRow("mistral", false)]
    [DataRow("llama", true)]
    [DataRow("mistral", true)]
    public void TheObjectItselfIsTrained(string name, bool byDelegate)
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random(name, Config.Spec);
        model.eval();
        Dictionary<string, Tensor> tensors = model.state_dict().ToDictionary(named => named.Key, named => named.Value),
            before = Copy(model);
        bool[] trainable = [.. model.parameters().Select(parameter => parameter.requires_grad)];
        var losses = new List<double>();
        Options options = Settings(losses);

        using SorsaTransformer transformer = s_ml.Sorsa()
            .FineTune(model, Tokens(), options, byDelegate ? Forward : null)
            .Fit(TinyTask.Data(s_ml));

        Assert.IsLessThan(0.8 * losses[0], losses[^1]);
        foreach ((string key, Tensor tensor) in model.state_dict())
        {
            bool target = key.EndsWith("q_proj.weight", StringComparison.Ordinal)
                || key.EndsWith("down_proj.weight", StringComparison.Ordinal);
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
    public void EveryMethodThatCanTrainTargetsAloneTrains(FineTuningMethod method)
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random("llama", Config.Spec);
        var losses = new List<double>();
        Options options = Settings(losses);
        options.Method = method;
        options.Rank = method == FineTuningMethod.Partial ? null : options.Rank;
        options.GradientProjection = method == FineTuningMethod.GaLore ? new GradientProjection { TargetsOnly = true, Scale = 1 } : null;
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
        using var theirs = LookAlikes.Random(name, Config.Spec);
        using CausalLM ours = SameWeights(theirs);
        int[][] texts = [.. Enumerable.Range(0, 24).Select(i => Enumerable.Range(0, 10).Select(j => (i * 7 + j * j) % 264).ToArray())];
        Sorsa.Data.SupervisedExample[] rows = [.. texts.Select(ids => new Sorsa.Data.SupervisedExample(ids, 3))];

        List<double> expected = Train(ours, AdapterSet.Inject(ours, ["q_proj", "down_proj"], Method()));
        Sorsa.Interop.ForeignModel foreign = Sorsa.Interop.ForeignModel.Bind(theirs);
        List<double> actual = Train(foreign, AdapterSet.Inject(
            Sorsa.Interop.TargetWeight.Find(theirs, ["q_proj", "down_proj"]).Select(target => new TensorTarget(target.Path, target.Weight)),
            Method()));

        foreach ((double wanted, double got) in expected.Zip(actual))
        {
            Assert.AreEqual(wanted, got, 1e-4);
        }

        Assert.AreNotEqual(expected[0], expected[^1], 0.05);

        static SorsaMethod Method() => new() { Rank = 4, Gamma = 0.01, Decomposition = Decomposition.Drawn(new Generator(3)) };

        List<double> Train(ITrainedModel model, AdapterSet adapters)
        {
            var losses = new List<double>();
            new TrainingLoop(model, adapters, TinyModel.Settings with { LearningRate = 0.01, WarmupRatio = 0 }).Run(
                rows.Chunk(4).Select(chunk => chunk.Chunk(2).ToArray()), 6, null, progress => losses.Add(progress.Loss),
                CancellationToken.None);
            return losses;
        }
    }

    [TestMethod]
    public void HalfPrecisionWeightsStayWhatTheyAre()
    {
        using var scope = NewDisposeScope();
        using var linear = nn.Linear(6, 5, hasBias: false, dtype: ScalarType.BFloat16);
        using var generator = new Generator(1);
        var site = new TensorTarget("it", linear.weight);
        AdapterSet adapters = AdapterSet.Inject([site], new LoraMethod { Rank = 2, Scale = 1, Initialization = generator });

        adapters.WriteWeights();
        linear.call(ones(3, 6, ScalarType.BFloat16)).sum().backward();
        adapters.CollectGradients();
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
        using var model = LookAlikes.Random("mistral", Config.Spec);
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

    /// <summary>
    /// Whoever learns another answer by heart forgets this one: the loss on these rows is at its best early, and far above it at the end.
    /// </summary>
    [TestMethod]
    public void ValidationKeepsTheBestWeights()
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random("llama", Config.Spec);
        var log = new List<SorsaTrainingProgress>();
        Options options = Settings([]);
        (options.EvaluationSteps, options.LearningRateDecay, options.Progress) = (1, LearningRateDecay.Constant, new Listener(log.Add));
        IDataView other = s_ml.Data.LoadFromEnumerable(
            TinyTask.Rows.Select(row => new TinyTask.Row { Prompt = row.Prompt, Response = "No." }));

        using SorsaTransformer transformer = s_ml.Sorsa().FineTune(model, Tokens(), options).Fit(other, TinyTask.Data(s_ml));

        double best = log.Min(progress => progress.ValidationLoss!.Value);
        Assert.IsGreaterThan(best + 0.1, log[^1].ValidationLoss!.Value);

        // One more evaluation, after a step that moves nothing: the object holds the weights of the best one.
        (options.MaxSteps, options.LearningRate) = (1, 1e-30);
        using SorsaTransformer again = s_ml.Sorsa().FineTune(model, Tokens(), options).Fit(TinyTask.Data(s_ml), TinyTask.Data(s_ml));
        Assert.AreEqual(best, log[^1].ValidationLoss!.Value, 1e-4);
    }

    [TestMethod]
    public void StepsLeaveNoTensorBehind()
    {
        using var model = LookAlikes.Random("llama", Config.Spec);
        Options options = Settings([]);
        var counts = new List<long>();
        options.NumberOfEpochs = 10;
        options.Progress = new Listener(_ => counts.Add(Tensor.TotalCount));

        // What earlier tests left to the collector must not go while we count.
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        using SorsaTransformer transformer = s_ml.Sorsa().FineTune(model, Tokens(), options).Fit(TinyTask.Data(s_ml));

        Assert.HasCount(30, counts);

        // The look-alike leaves its own intermediate tensors to the loop's scope, or to the collector: never more than a step's.
        Assert.AreEqual(counts[5], counts[^1]);
    }

    internal static Options Settings(List<double> losses) => new()
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

    internal static BpeTokenizer Tokens() => ForeignModelsTokenizerTests.Pieces("<s>", "</s>");

    private static Dictionary<string, Tensor> Copy(nn.Module model) =>
        model.state_dict().ToDictionary(named => named.Key, named => named.Value.detach().clone());

    private static CausalLM SameWeights(nn.Module model)
    {
        using var stream = new MemoryStream();
        KeyValuePair<string, Tensor>[] weights = [.. model.state_dict()
            .OrderBy(named => named.Key, StringComparer.Ordinal)
            .Select(named => KeyValuePair.Create(named.Key, named.Value))];
        CheckpointWriter.Write(stream, weights, ScalarType.Float32);
        stream.Position = 0;
        using Checkpoint checkpoint = Checkpoint.Read(stream, stream.Length, "a look-alike");
        return CausalLM.Load(Config, checkpoint, ScalarType.Float32, CPU);
    }

    private sealed class Listener(Action<SorsaTrainingProgress> listen) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => listen(value);
    }
}
