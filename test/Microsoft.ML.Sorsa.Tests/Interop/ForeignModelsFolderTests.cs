using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>A model object beside its folder: our decoder stands over the object's own tensors, and all is as with the folder.</summary>
[TestClass]
[TestCategory("ForeignModels")]
[TestCategory("Training")]
[DoNotParallelize]
public sealed class ForeignModelsFolderTests
{
    private const string Embedding = "model.embed_tokens.weight";

    private static readonly MLContext s_ml = new();

    public static IEnumerable<object[]> Methods =>
    [
        ["SORSA", Set(_ => { })],
        ["LoRA with dropout", Set(options => (options.Method, options.Dropout) = (FineTuningMethod.Lora, 0.2))],
        ["DoRA over NF4", Set(options => (options.Method, options.Quantization) = (FineTuningMethod.Dora, BaseQuantization.NF4))],
        ["AdaLoRA", Set(options => options.Method = FineTuningMethod.AdaLora)],
        ["partial", Set(options => (options.Method, options.Rank) = (FineTuningMethod.Partial, null))],
        ["full", Set(options => (options.Method, options.Rank, options.TargetModules, options.LearningRate) =
            (FineTuningMethod.Full, null, new Options().TargetModules, 1e-3))],
    ];

    /// <summary>Bit by bit: the losses, the answers, what a file holds; and the object holds the same, its tied head, too.</summary>
    [TestMethod]
    [DynamicData(nameof(Methods))]
    public void EveryMethodDoesWhatItDoesWithTheFolder(string name, Action<Options> set)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = (LlamaLookAlike)LookAlikes.Load("llama", TestData.TinyLlama);
        List<double> losses = [], expectedLosses = [];
        Options options = Settings(set, losses), ofFolder = Settings(set, expectedLosses);
        options.ModelFolder = "";
        ofFolder.ModelFolder = TestData.TinyLlama;
        using SorsaTransformer expected = s_ml.Sorsa().FineTune(ofFolder).Fit(TinyTask.Data(s_ml));

        using SorsaTransformer trained = s_ml.Sorsa().FineTune(model, TestData.TinyLlama, options).Fit(TinyTask.Data(s_ml));

        CollectionAssert.AreEqual(expectedLosses, losses, name);
        CollectionAssert.AreEqual(
            TinyTask.Answers(expected, TinyTask.Data(s_ml)), TinyTask.Answers(trained, TinyTask.Data(s_ml)), name);
        expected.SaveHuggingFace(folder.File("expected"));
        trained.SaveHuggingFace(folder.File("saved"));
        using Checkpoint ours = Checkpoint.OpenFolder(folder.File("expected")), saved = Checkpoint.OpenFolder(folder.File("saved"));
        Dictionary<string, Tensor> now = model.state_dict();
        CollectionAssert.AreEqual(ours.Names.ToArray(), saved.Names.ToArray());
        foreach (string key in ours.Names)
        {
            Assert.IsTrue(saved.Tensors[key].bytes.SequenceEqual(ours.Tensors[key].bytes), $"{name}: {key} as it is saved");
            Assert.IsTrue(now[key].bytes.SequenceEqual(ours.Tensors[key].bytes), $"{name}: {key} in the object");
        }

        Assert.IsTrue(model.HeadWeight.bytes.SequenceEqual(now[Embedding].bytes));
        Assert.IsTrue(model.parameters().Append(model.HeadWeight).All(weight => weight.requires_grad && weight.grad is null));
        Assert.IsTrue(model.training);
    }

    [TestMethod]
    public void AnAdapterOfItBelongsOntoTheFolder()
    {
        using var folder = new TemporaryFolder();
        using var model = LookAlikes.Load("llama", TestData.TinyLlama);
        Options options = Settings(options => options.SavedType = WeightType.BFloat16, []);
        using SorsaTransformer trained = s_ml.Sorsa().FineTune(model, TestData.TinyLlama, options).Fit(TinyTask.Data(s_ml));
        trained.SaveAdapter(folder.File("adapter"));
        using SorsaTransformer loaded = s_ml.Sorsa().LoadModel(TestData.TinyLlama, generation: TinyTask.Options().Generation);

        loaded.LoadAdapter("it", folder.File("adapter"));
        loaded.UseAdapter("it");

        CollectionAssert.AreEqual(TinyTask.Answers(trained, TinyTask.Data(s_ml)), TinyTask.Answers(loaded, TinyTask.Data(s_ml)));

        // The object has other weights now: what is trained from here on belongs onto no folder.
        using SorsaTransformer again = s_ml.Sorsa().FineTune(model, TestData.TinyLlama, Settings(_ => { }, [])).Fit(TinyTask.Data(s_ml));
        again.SaveAdapter(folder.File("second"));
        using AdapterWeights first = AdapterFolder.Read(folder.File("adapter")), second = AdapterFolder.Read(folder.File("second"));
        Assert.AreNotEqual(first.BaseFingerprint, second.BaseFingerprint);
    }

    /// <summary>In the end every weight of the transformer is the object's own memory.</summary>
    [TestMethod]
    public void NoWeightIsKeptTwice()
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Load("llama", TestData.TinyLlama);
        Dictionary<string, nint> before = model.state_dict().ToDictionary(named => named.Key, named => TensorAddress.Of(named.Value));

        using SorsaTransformer trained = s_ml.Sorsa().FineTune(model, TestData.TinyLlama, Settings(_ => { }, [])).Fit(TinyTask.Data(s_ml));

        foreach ((string key, Tensor weight) in trained.Model.Network.NamedWeights)
        {
            Assert.AreEqual(before[key], TensorAddress.Of(weight), key);
        }
    }

    [TestMethod]
    [DataRow(FineTuningMethod.Sorsa)]
    [DataRow(FineTuningMethod.Lora)]
    [DataRow(FineTuningMethod.Full)]
    public void ATrainingThatFailsNeverTouchesTheObject(FineTuningMethod method)
    {
        using var scope = NewDisposeScope();
        using var model = (LlamaLookAlike)LookAlikes.Load("llama", TestData.TinyLlama);
        Dictionary<string, byte[]> before = Bytes(model);
        Options options = Settings(
            options =>
            {
                options.Method = method;
                options.Rank = method == FineTuningMethod.Full ? null : 4;
                options.TargetModules = new Options().TargetModules;
            },
            []);
        bool changed = false;
        options.Progress = new Listener(_ =>
        {
            changed |= Differ(before, model);
            throw new TimeoutException("a listener that fails");
        });

        Assert.ThrowsExactly<TimeoutException>(
            () => s_ml.Sorsa().FineTune(model, TestData.TinyLlama, options).Fit(TinyTask.Data(s_ml)));

        Assert.IsFalse(changed);
        Assert.IsFalse(Differ(before, model));
        Assert.IsTrue(model.parameters().Append(model.HeadWeight).All(weight => weight.requires_grad && weight.grad is null));
    }

    /// <summary>What is written is known to fit before the first tensor is touched.</summary>
    [TestMethod]
    public void AWriteThatDoesNotFitLeavesTheObjectAsItWas()
    {
        using var scope = NewDisposeScope();
        using var model = LookAlikes.Random("llama", TinyModel.Config().Spec);
        model.to(ScalarType.Float16);
        Dictionary<string, byte[]> before = Bytes(model);
        var weights = new ModuleWeights(model, Sorsa.Models.CausalLM.Layout(TinyModel.Config().Spec), tied: false);
        KeyValuePair<string, Tensor>[] trained = [.. weights.Tensors.OrderBy(named => named.Key, StringComparer.Ordinal)
            .Select((named, i) => KeyValuePair.Create(named.Key, full(named.Value.shape, i == 5 ? 1e6 : 0.5)))];

        string message = Assert.ThrowsExactly<ArithmeticException>(() => weights.Write(trained)).Message;

        Assert.Contains(trained[5].Key, message);
        Assert.IsFalse(Differ(before, model));
    }

    /// <summary>As GenAI's classes: rope_scaling is ignored, the window a token too wide.</summary>
    [TestMethod]
    [DataRow("llama", "rope_scaling", """{"rope_type": "linear", "factor": 2.0}""", "those of a decoder without rope_scaling")]
    [DataRow("llama", "rope_scaling", """{"rope_type": "yarn", "factor": 4.0}""", "those of a decoder without rope_scaling")]
    [DataRow("llama", "rms_norm_eps", "0.5", "its class computes otherwise")]
    [DataRow("llama", "num_hidden_layers", "7", "no tensor of the object is called model.layers.6.")]
    [DataRow("mistral", "sliding_window", "9", "those of a decoder with a sliding_window of one token more")]
    public void WhereItComputesOtherwiseTheObjectItselfIsTrained(string name, string key, string value, string cause)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        string config = File.ReadAllText(Path.Combine(TestData.TinyLlama, "config.json"));
        config = name == "mistral" ? ConfigText.With("model_type", "\"mistral\"", config) : config;
        config = ConfigText.With(key, value, config);
        CopyWith(folder, config);
        var spec = ConfigText.Parse(key is "num_hidden_layers" or "rms_norm_eps"
            ? File.ReadAllText(Path.Combine(TestData.TinyLlama, "config.json"))
            : config).Spec;
        using var model = LookAlikes.Load(name, TestData.TinyLlama, spec);
        Dictionary<string, byte[]> before = Bytes(model);
        var log = new List<string>();
        var ml = new MLContext();
        ml.Log += (_, e) => log.Add(e.Message);

        using SorsaTransformer trained = ml.Sorsa().FineTune(model, folder.Path, Settings(InPlace, [])).Fit(TinyTask.Data(ml));

        Assert.HasCount(TinyTask.Rows.Length, TinyTask.Answers(trained, TinyTask.Data(ml)));
        Assert.IsTrue(Differ(before, model));
        Assert.Contains(line => line.Contains(cause, StringComparison.Ordinal), log);
        string message = Assert.ThrowsExactly<NotSupportedException>(() => trained.SaveHuggingFace(folder.File("saved"))).Message;
        Assert.Contains("an object of your own class", message);
        Assert.Contains("config.json", message);
        Assert.Contains(cause, message);

        string refused = Assert.ThrowsExactly<ArgumentException>(
            () => ml.Sorsa().FineTune(model, folder.Path, Settings(Dropped, [])).Fit(TinyTask.Data(ml)))
            .Message;
        Assert.Contains("Dropout is 0.1, and a model object computes with the adapted weight itself", refused);
        Assert.Contains(cause, refused);
    }

    /// <summary>A Mistral of GenAI's does not tie: what its head has learnt elsewhere is no less its own than a folder's.</summary>
    [TestMethod]
    public void AHeadOfItsOwnIsKeptThoughTheConfigurationTiesIt()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        CopyWith(folder, ConfigText.With("model_type", "\"mistral\"", File.ReadAllText(Path.Combine(TestData.TinyLlama, "config.json"))));
        using var model = LookAlikes.Load("mistral", folder.Path);
        Tensor head = model.state_dict()["lm_head.weight"];
        head.copy_(head * tensor(0.5f));
        byte[] before = head.bytes.ToArray();

        using SorsaTransformer trained = s_ml.Sorsa().FineTune(model, folder.Path, Settings(_ => { }, [])).Fit(TinyTask.Data(s_ml));
        trained.SaveHuggingFace(folder.File("saved"));

        using Checkpoint saved = Checkpoint.OpenFolder(folder.File("saved"));
        Assert.IsTrue(saved.Tensors["lm_head.weight"].bytes.SequenceEqual(before));
        Assert.IsTrue(head.bytes.SequenceEqual(before));
    }

    [TestMethod]
    public void AnotherModelsFolderIsRefused()
    {
        using var model = LookAlikes.Random("llama", TinyModel.Config().Spec);

        string message = Assert.ThrowsExactly<InvalidDataException>(
            () => s_ml.Sorsa().FineTune(model, TestData.TinyLlama, Settings(_ => { }, [])).Fit(TinyTask.Data(s_ml))).Message;

        Assert.Contains("the model object", message);
        Assert.Contains("misshapen", message);
        Options named = Settings(options => options.ModelFolder = "elsewhere", []);
        Assert.Contains(
            "ModelFolder is", Assert.ThrowsExactly<ArgumentException>(
                () => s_ml.Sorsa().FineTune(model, TestData.TinyLlama, named)).Message);
        Assert.Throws<IOException>(() => s_ml.Sorsa().FineTune(model, Path.Combine(TestData.TinyLlama, "nowhere"), Settings(_ => { }, [])));
    }

    /// <summary>The folder says how many positions there are, whatever trains.</summary>
    [TestMethod]
    [DataRow("null")]
    [DataRow("""{"rope_type": "linear", "factor": 2.0}""")]
    public void RowsAreAsLongAsTheFolderAllows(string scaling)
    {
        using var folder = new TemporaryFolder();
        string config = ConfigText.With("max_position_embeddings", "20", File.ReadAllText(Path.Combine(TestData.TinyLlama, "config.json")));
        CopyWith(folder, ConfigText.With("rope_scaling", scaling, config));
        using var model = LookAlikes.Load("llama", TestData.TinyLlama);

        string message = Assert.ThrowsExactly<ArgumentException>(
            () => s_ml.Sorsa().FineTune(model, folder.Path, Settings(InPlace, [])).Fit(TinyTask.Data(s_ml))).Message;

        Assert.Contains("the model has 20 positions", message);
    }

    private static Action<Options> Set(Action<Options> set) => set;

    /// <summary>What an object that is trained where it lies allows.</summary>
    private static void InPlace(Options options) => options.SavedType = WeightType.Checkpoint;

    private static void Dropped(Options options) => (options.SavedType, options.Dropout) = (WeightType.Checkpoint, 0.1);

    private static Options Settings(Action<Options> set, List<double> losses)
    {
        Options options = TinyTask.Options();
        (options.ModelFolder, options.SavedType) = ("", WeightType.Float32);
        options.MaxSteps = 3;
        options.Progress = new Listener(progress => losses.Add(progress.Loss));
        set(options);
        return options;
    }

    private static void CopyWith(TemporaryFolder folder, string config)
    {
        foreach (string file in Directory.GetFiles(TestData.TinyLlama))
        {
            File.Copy(file, folder.File(Path.GetFileName(file)));
        }

        File.WriteAllText(folder.File("config.json"), config);
    }

    private static Dictionary<string, byte[]> Bytes(nn.Module model) =>
        model.state_dict().ToDictionary(named => named.Key, named => named.Value.bytes.ToArray());

    private static bool Differ(Dictionary<string, byte[]> before, nn.Module model) =>
        model.state_dict().Any(named => !named.Value.bytes.SequenceEqual(before[named.Key]));

    private sealed class Listener(Action<SorsaTrainingProgress> listen) : IProgress<SorsaTrainingProgress>
    {
        public void Report(SorsaTrainingProgress value) => listen(value);
    }
}
