using System.Text;
using Microsoft.ML.Sorsa.Tests.Checkpoints;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>What the end of a training needs is read and checked before its first step; a training that ends in an error is lost.</summary>
[TestClass]
[TestCategory("Cases")]
[TestCategory("Training")]
public sealed class BeforeTheFirstStepCases
{
    private static readonly MLContext s_ml = new();

    public static IEnumerable<object[]> BrokenGenerationConfigs =>
    [
        ["{\"eos_token_id\": 1.5}", "eos_token_id"],
        ["", "empty"],
        ["{", "not valid JSON"],
        ["// eos\n{\"eos_token_id\": 2}", "not valid JSON"],
        ["{\"eos_token_id\": \"</s>\"}", "eos_token_id"],
        ["{\"eos_token_id\": -1}", "eos_token_id"],
        ["{\"eos_token_id\": [2, 99999999999]}", "eos_token_id"],
        ["[]", "must hold a JSON object"],
        ["\u00FF\u00FE", "UTF-16"],
    ];

    [TestMethod]
    [DynamicData(nameof(BrokenGenerationConfigs))]
    public void AttackABrokenGenerationConfigIsFoundBeforeTheFirstStep(string content, string message)
    {
        using var temporary = new TemporaryFolder();
        EditedModel model = new EditedModel(temporary, TestData.TinyLlama).Set("generation_config.json", Encoding.Latin1.GetBytes(content));

        Exception error = FoundEarly<InvalidDataException>(model.Folder, _ => { });

        Assert.Contains("generation_config.json", error.Message);
        Assert.Contains(message, error.Message);
    }

    [TestMethod]
    public void AttackTheFileOfTheReportIsFoundToo()
    {
        using var temporary = new TemporaryFolder();
        EditedModel model = new EditedModel(temporary, TestData.TinyLlama).Set(
            "generation_config.json", File.ReadAllBytes(TestData.Attack("generation_config-found-too-late", "generation_config.json")));

        Assert.Contains("eos_token_id", FoundEarly<InvalidDataException>(model.Folder, _ => { }).Message);
    }

    [TestMethod]
    [DataRow("{}")]
    [DataRow("{\"eos_token_id\": null}")]
    [DataRow("{\"eos_token_id\": [2, 1]}")]
    [DataRow("\uFEFF{\"eos_token_id\": 2}")]
    public void AttackAGenerationConfigThatSaysLittleIsNoError(string content)
    {
        using var temporary = new TemporaryFolder();
        Options options = TinyTask.Options();
        options.MaxSteps = 1;
        options.ModelFolder = new EditedModel(temporary, TestData.TinyLlama).Set("generation_config.json", content).Folder;

        using SorsaTransformer fitted = s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml));

        Assert.IsNotNull(fitted.MergeReport);
    }

    /// <summary>A weight that trains, one that does not, stored in float32 and in bfloat16, and as the report had it.</summary>
    [TestMethod]
    [DataRow("model.embed_tokens.weight", 1e6, ScalarType.Float32)]
    [DataRow("model.layers.0.mlp.down_proj.weight", 1e5, ScalarType.Float32)]
    [DataRow("model.norm.weight", -1e5, ScalarType.BFloat16)]
    public void AttackAWeightThatSavedTypeCannotHoldIsFoundBeforeTheFirstStep(string name, double value, ScalarType stored)
    {
        using var scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        EditedModel model = new EditedModel(temporary, TestData.TinyLlama).In(stored);
        Tensor values = model.Values(name);
        values.flatten()[5] = tensor(value).to(stored);
        model.Put(name, values);

        Exception error = FoundEarly<ArithmeticException>(model.Folder, options => options.SavedType = WeightType.Float16);

        Assert.Contains($"'{name}' holds values that Float16 cannot", error.Message);
        Assert.Contains("SavedType", error.Message);
    }

    [TestMethod]
    public void AttackAWeightThatIsNoNumberIsFoundBeforeTheFirstStep()
    {
        using var scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        EditedModel model = new EditedModel(temporary, TestData.TinyLlama);
        Tensor values = model.Values("model.norm.weight");
        values[3] = tensor(double.NaN).to(values.dtype);
        model.Put("model.norm.weight", values);

        Exception error = FoundEarly<ArithmeticException>(model.Folder, options => options.SavedType = WeightType.Float16);

        Assert.Contains("'model.norm.weight' holds values that are not finite", error.Message);
    }

    /// <summary>What cannot be written again is refused where it is read.</summary>
    [TestMethod]
    public void AttackAConfigThatCannotBeSavedAgainIsFoundBeforeTheFirstStep()
    {
        using var temporary = new TemporaryFolder();
        EditedModel model = new EditedModel(temporary, TestData.TinyLlama);
        string json = File.ReadAllText(model.File("config.json"));
        model.Set("config.json", json.Insert(json.IndexOf('{') + 1, "\"note\": \"\\ud800\","));

        Assert.Contains("config.json", FoundEarly<InvalidDataException>(model.Folder, _ => { }).Message);
    }

    [TestMethod]
    public void AttackJsonThatIsNoUtf8NamesItsFileAndByte()
    {
        string message = FoundEarly<InvalidDataException>(TestData.Attack("config-invalid-utf8"), _ => { }).Message;

        Assert.Contains("config.json' is not UTF-8: byte ", message);
        Assert.Contains("0xFF", message);
        Assert.IsLessThan(600, message.Length);
    }

    /// <summary>Neither memory nor a message as long as the configuration claims.</summary>
    [TestMethod]
    [DataRow("num_hidden_layers", "1000000")]
    [DataRow("num_hidden_layers", "2147483647")]
    [DataRow("head_dim", "2147483646")]
    [DataRow("vocab_size", "2147483647")]
    [DataRow("hidden_size", "2147483640")]
    [DataRow("intermediate_size", "2147483647")]
    [DataRow("num_attention_heads", "2147483646")]
    public void AttackSizesThatNoFileHoldsCostNothing(string key, string size)
    {
        using var temporary = new TemporaryFolder();
        EditedModel model = new EditedModel(temporary, TestData.TinyLlama).Config(key, size);
        if (key == "num_attention_heads")
        {
            model.Config("head_dim", "2");
        }

        long before = GC.GetTotalAllocatedBytes(precise: true);
        Exception error = Assert.Throws<Exception>(() => s_ml.Sorsa().LoadModel(model.Folder).Dispose());

        Assert.IsTrue(error is InvalidDataException or ArgumentException, error.ToString());
        Assert.IsLessThan(3000, error.Message.Length);
        Assert.IsLessThan(200_000_000, GC.GetTotalAllocatedBytes(precise: true) - before);
        FoundEarly<Exception>(model.Folder, _ => { });
    }

    [TestMethod]
    [DataRow("head_dim", "0")]
    [DataRow("num_hidden_layers", "0")]
    [DataRow("num_attention_heads", "0")]
    [DataRow("num_attention_heads", "4096")]
    [DataRow("vocab_size", "99999999999")]
    [DataRow("vocab_size", "-1")]
    [DataRow("hidden_size", "1e400")]
    [DataRow("rope_theta", "0")]
    [DataRow("rms_norm_eps", "\"small\"")]
    [DataRow("max_position_embeddings", "0")]
    public void AttackSizesThatMakeNoSenseNameTheirKey(string key, string size)
    {
        using var temporary = new TemporaryFolder();
        EditedModel model = new EditedModel(temporary, TestData.TinyLlama);
        string config = Models.ConfigText.With(key, size, File.ReadAllText(model.File("config.json")));
        if (key == "num_attention_heads")
        {
            config = Models.ConfigText.With("head_dim", "null", Models.ConfigText.With("num_key_value_heads", "1", config));
        }

        Exception error = FoundEarly<InvalidDataException>(model.Set("config.json", config).Folder, _ => { });

        Assert.Contains(key, error.Message);
        Assert.Contains("config.json", error.Message);
    }

    /// <summary>The layers of the report, as they were.</summary>
    [TestMethod]
    public void AttackAMillionLayersAreRefusedAtOnce()
    {
        using var temporary = new TemporaryFolder();
        EditedModel model = new EditedModel(temporary, TestData.TinyLlama).Set(
            "config.json", File.ReadAllBytes(TestData.Attack("config-layers", "config.json")));

        Exception error = Assert.Throws<Exception>(() => s_ml.Sorsa().LoadModel(model.Folder).Dispose());

        Assert.IsLessThan(3000, error.Message.Length);
    }

    /// <summary>The error, which a training and a base model of many trainings both give before a step.</summary>
    private static T FoundEarly<T>(string folder, Action<Options> set)
        where T : Exception
    {
        using var temporary = new TemporaryFolder();
        var steps = new Steps();
        Options options = TinyTask.Options();
        options.ModelFolder = folder;
        options.Progress = steps;
        set(options);

        T error = Assert.Throws<T>(() => s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml)).Dispose());
        Assert.Throws<T>(() => s_ml.Sorsa().OpenBaseModel(options, 4, temporary.File("svd")).Dispose());
        Assert.AreEqual(0, steps.Count);
        return error;
    }

    private sealed class Steps : IProgress<SorsaTrainingProgress>
    {
        public int Count { get; private set; }

        public void Report(SorsaTrainingProgress value) => Count++;
    }
}
