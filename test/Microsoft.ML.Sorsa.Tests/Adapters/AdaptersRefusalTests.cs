using System.Text.Json.Nodes;
using Microsoft.ML;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>Adapter files that do not fit, or are none; all that is wrong is listed at once.</summary>
[TestClass]
[TestCategory("Adapters")]
[DoNotParallelize]
public sealed class AdaptersRefusalTests
{
    private static readonly MLContext s_ml = new();

    [TestMethod]
    public void WhereThereIsNoAdapterNoneIsSaved()
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "it");
        using SorsaTransformer model = AdaptersFileTests.Base(),
            partial = AdaptersFileTests.Train(FineTuningMethod.Partial),
            sorsa = AdaptersFileTests.Train(FineTuningMethod.Sorsa),
            dora = AdaptersFileTests.Train(FineTuningMethod.Dora),
            quantized = AdaptersFileTests.Train(FineTuningMethod.Lora, options => options.Quantization = BaseQuantization.NF4);

        Assert.Contains(
            "There is no adapter to save",
            Assert.ThrowsExactly<InvalidOperationException>(() => model.SaveAdapter(file)).Message);
        Assert.Contains(
            "There is no adapter to save",
            Assert.ThrowsExactly<InvalidOperationException>(() => partial.SaveAdapter(file)).Message);
        Assert.Contains(
            "no method 'sorsa'",
            Assert.ThrowsExactly<NotSupportedException>(() => sorsa.SaveAdapter(file, AdapterFormat.Peft)).Message);
        Assert.Contains(
            "scales whole rows",
            Assert.ThrowsExactly<NotSupportedException>(() => dora.SaveAdapter(file, AdapterFormat.LoraDifference)).Message);
        Assert.Contains(
            "quantised base",
            Assert.ThrowsExactly<NotSupportedException>(() => quantized.SaveAdapter(file, AdapterFormat.LoraDifference)).Message);
        Assert.Contains(
            "its weights are merged",
            Assert.ThrowsExactly<InvalidOperationException>(() => sorsa.LoadAdapter("x", folder.Path)).Message);
        Assert.Contains(
            "neither adapter.json nor adapter_config.json",
            Assert.ThrowsExactly<FileNotFoundException>(() => model.LoadAdapter("x", folder.Path)).Message);
        Assert.ThrowsExactly<DirectoryNotFoundException>(() => model.LoadAdapter("x", file));
        Assert.Throws<ArgumentException>(() => sorsa.SaveAdapter(file, (AdapterFormat)9));
        Assert.IsEmpty(Directory.GetFileSystemEntries(folder.Path));
    }

    /// <summary>A base that was trained itself is another base.</summary>
    [TestMethod]
    public void AnotherBaseIsRefused()
    {
        using var folder = new TemporaryFolder();
        (string file, string other) = (Path.Combine(folder.Path, "it"), Path.Combine(folder.Path, "other"));
        using (SorsaTransformer trained = AdaptersFileTests.Train(FineTuningMethod.Sorsa))
        {
            trained.SaveAdapter(file);
            trained.SaveHuggingFace(other);
        }

        using SorsaTransformer model = s_ml.Sorsa().LoadModel(other);

        Assert.Contains(
            "another base: it was trained on",
            Assert.ThrowsExactly<InvalidDataException>(() => model.LoadAdapter("it", file)).Message);
        Assert.IsEmpty(model.AdapterNames);
    }

    [TestMethod]
    public void AllThatDoesNotFitIsListedAtOnce()
    {
        using var scope = NewDisposeScope();
        CausalLM model = TinyModel.Create();
        Dictionary<string, Tensor> Parts(params (string Name, long[] Shape)[] parts) =>
            parts.ToDictionary(part => part.Name, part => zeros(part.Shape));
        var weights = new AdapterWeights(LoraMethod.Descriptor, 1, false, "beef", new(StringComparer.Ordinal)
        {
            ["model.layers.0.self_attn.q_proj"] = Parts(("lora_A", [2, 16])),
            ["model.layers.0.self_attn.v_proj"] = Parts(("lora_A", [2, 16]), ("lora_B", [9, 2])),
            ["model.layers.1.self_attn.q_proj"] = Parts(("lora_A", [2, 16]), ("lora_B", [16, 2]), ("lora_E", [2, 1])),
            ["model.layers.7.self_attn.q_proj"] = Parts(("lora_A", [2, 16]), ("lora_B", [16, 2])),
        });

        string message = Assert.ThrowsExactly<InvalidDataException>(() => weights.Verify(model, "a folder")).Message;

        Assert.Contains("another base: it was trained on beef", message);
        Assert.Contains("missing: model.layers.0.self_attn.q_proj.lora_B", message);
        Assert.Contains(
            "misshapen: model.layers.0.self_attn.v_proj.lora_B is Float32 [9, 2], " +
            "and this base and method ask for floating-point numbers [8, 2]",
            message);
        Assert.Contains("unexpected: model.layers.1.self_attn.q_proj.lora_E", message);
        Assert.Contains("foreign target: model.layers.7.self_attn.q_proj", message);
    }

    [TestMethod]
    [DataRow("method", "\"magic\"", "its method is 'magic', and the methods that are known are adalora, dora, lora, pissa, rslora, sorsa")]
    [DataRow("version", "3", "version 3, and this library reads")]
    [DataRow("format", "\"x\"", "its format is 'x'")]
    [DataRow("scale", "-1", "'scale' must be a number above 0; it is -1")]
    [DataRow("base_fingerprint", "null", "'base_fingerprint' is missing")]
    public void AnAdapterFileThatIsNoneIsRefused(string key, string value, string problem)
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "it");
        using SorsaTransformer trained = AdaptersFileTests.Train(FineTuningMethod.Lora), model = AdaptersFileTests.Base();
        trained.SaveAdapter(file);
        Edit(Path.Combine(file, "adapter.json"), key, value);

        Assert.Contains(problem, Assert.ThrowsExactly<InvalidDataException>(() => model.LoadAdapter("it", file)).Message);
    }

    [TestMethod]
    [DataRow("peft_type", "\"IA3\"", "peft_type 'IA3'")]
    [DataRow("bias", "\"all\"", "bias 'all'")]
    [DataRow("modules_to_save", "[\"lm_head\"]", "modules_to_save [\"lm_head\"]")]
    [DataRow("alpha_pattern", "{\"q_proj\": 3}", "alpha_pattern")]
    [DataRow("fan_in_fan_out", "true", "fan_in_fan_out true")]
    [DataRow("use_qalora", "true", "use_qalora true")]
    [DataRow("rank_pattern", "{\"q_proj\": 3}", "rank_pattern")]
    [DataRow("init_lora_weights", "\"olora\"", "init_lora_weights \"olora\"")]
    [DataRow("init_lora_weights", "\"pissa_niter_4\"", "path_initial_model_for_weight_conversion gives a LoRA")]
    public void PeftOptionsThatAreNotSupportedAreRefused(string key, string value, string problem)
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "it");
        using SorsaTransformer trained = AdaptersFileTests.Train(FineTuningMethod.Lora), model = AdaptersFileTests.Base();
        trained.SaveAdapter(file, AdapterFormat.Peft);
        Edit(Path.Combine(file, "adapter_config.json"), key, value);

        Assert.Contains(problem, Assert.ThrowsExactly<NotSupportedException>(() => model.LoadAdapter("it", file)).Message);
    }

    private static void Edit(string path, string key, string value)
    {
        JsonNode config = JsonNode.Parse(File.ReadAllText(path))!;
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(path, config.ToJsonString());
    }
}
