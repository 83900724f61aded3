using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Tests.Surface;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>PEFT's files as they are found: names, targets and contents that differ from what SaveAdapter writes.</summary>
[TestClass]
[TestCategory("Adapters")]
[TestCategory("Peft")]
[DoNotParallelize]
public sealed class PeftFolderTests
{
    private const string Prefix = "base_model.model.", Layer = "model.layers.0.self_attn.", Other = "model.layers.1.self_attn.";

    private static readonly TemporaryFolder s_folder = new();
    private static readonly SorsaTransformer s_trained = Train();

    [ClassCleanup]
    public static void CleanUp()
    {
        s_trained.Dispose();
        s_folder.Dispose();
    }

    /// <summary>The same tensors, under the names of a state that was not saved by PEFT's save_pretrained.</summary>
    [TestMethod]
    [DataRow(".weight", ".default.weight")]
    [DataRow(".weight", "")]
    [DataRow(Prefix, "")]
    [DataRow(Prefix, Prefix + Prefix)]
    [DataRow(Prefix, "module." + Prefix)]
    [DataRow(Prefix, "_orig_mod." + Prefix)]
    [DataRow(Prefix, Prefix + "_orig_mod.")]
    [DataRow("self_attn", "_checkpoint_wrapped_module._fsdp_wrapped_module.self_attn")]
    public void NamesOfAnUnsavedStateAreReadAsTheSame(string old, string other)
    {
        using var folder = new TemporaryFolder();
        string file = Write(folder, rename: name => name.Replace(old, other, StringComparison.Ordinal));
        using SorsaTransformer expected = AdaptersFileTests.Base(), model = AdaptersFileTests.Base();
        expected.LoadAdapter("it", s_folder.File("peft"));
        expected.UseAdapter("it");

        model.LoadAdapter("it", file);
        model.UseAdapter("it");

        CollectionAssert.AreEqual(TinyTask.LogitBits(expected.Model.Network), TinyTask.LogitBits(model.Model.Network));
    }

    [TestMethod]
    [DataRow(Prefix + "lm_head.modules_to_save.weight", "merge_and_unload, then save_pretrained")]
    [DataRow(Prefix + "lm_head.weight", "save_embedding_layers=False")]
    [DataRow(Prefix + "model.embed_tokens.lora_embedding_A", "merge_and_unload, then save_pretrained")]
    [DataRow(Prefix + "model.embed_tokens.token_adapter.trainable_tokens_delta", "merge_and_unload, then save_pretrained")]
    [DataRow(Prefix + Layer + "q_proj.base_layer.weight", "the state of a whole model")]
    [DataRow(Prefix + Layer + "q_proj.lora_B.bias", "without biases")]
    [DataRow(Prefix + Layer + "q_proj.ia3_l", "merge others into their base")]
    [DataRow("lora_unet_down_blocks_0_attentions_0.lora_down.weight", "models that make images")]
    [DataRow("unet.down_blocks.0.attn1.to_q.lora.down.weight", "models that make images")]
    public void ATensorThatIsNoLoraOfAProjectionIsNamed(string name, string remedy)
    {
        using var folder = new TemporaryFolder();
        string file = Write(folder, add: [name]);

        string refused = Refused<NotSupportedException>(file);

        Assert.Contains($"holds what is no LoRA of a projection: {name}. ", refused);
        Assert.Contains(remedy, refused);
    }

    [TestMethod]
    public void SeveralAdaptersInOneFileAreRefused()
    {
        using var folder = new TemporaryFolder();
        string file = Write(folder, rename: name => name.Replace(
            ".weight", name.Contains("layers.0", StringComparison.Ordinal) ? ".a.weight" : ".b.weight", StringComparison.Ordinal));

        Assert.Contains("holds 2 adapters: 'a', 'b'. ", Refused<NotSupportedException>(file));
    }

    [TestMethod]
    public void ATensorUnderTwoNamesIsRefused()
    {
        using var folder = new TemporaryFolder();
        string file = Write(folder, add: [Layer + "q_proj.lora_A.weight"]);

        Assert.Contains($"holds lora_A of '{Layer}q_proj' more than once", Refused<InvalidDataException>(file));
    }

    [TestMethod]
    public void NaNIsCorruptAndNoMatterOfTheLearningRate()
    {
        using var folder = new TemporaryFolder();
        string file = Write(folder, change: (name, tensor) =>
        {
            tensor = tensor.clone();
            tensor.view(-1)[3] = name.Contains("layers.1", StringComparison.Ordinal) ? float.NaN : tensor.view(-1)[3];
            return tensor;
        });

        string refused = Refused<InvalidDataException>(file);

        Assert.Contains("is corrupt: values are not finite in " + Prefix + Other, refused);
        Assert.DoesNotContain("layers.0", refused);
        Assert.DoesNotContain("LearningRate", refused);
    }

    /// <summary>Finite, and too large for a product: seen when it is merged; the base stays in use.</summary>
    [TestMethod]
    public void AnAdapterThatIsTooLargeLeavesTheBaseInUse()
    {
        using var folder = new TemporaryFolder();
        string file = Write(folder, change: (_, tensor) => tensor * 1e30);
        using SorsaTransformer model = AdaptersFileTests.Base();
        int[] before = TinyTask.LogitBits(model.Model.Network);
        model.LoadAdapter("it", file);

        string refused = Assert.ThrowsExactly<ArithmeticException>(() => model.UseAdapter("it")).Message;

        Assert.Contains("The adapter 'it' is damaged, or too large for BFloat16", refused);
        Assert.DoesNotContain("LearningRate", refused);
        Assert.IsNull(model.ActiveAdapter);
        CollectionAssert.AreEqual(before, TinyTask.LogitBits(model.Model.Network));
    }

    /// <summary>The tensors are those of q_proj and v_proj in every layer.</summary>
    [TestMethod]
    [DataRow("""{"target_modules": null}""", null)]
    [DataRow("""{"target_modules": ["v_proj", "q_proj", "embed_in"]}""", null)]
    [DataRow("""{"target_modules": ["self_attn.q_proj", "v_proj"]}""", null)]
    [DataRow("""{"target_modules": ".*\\.(q|v)_proj"}""", null)]
    [DataRow("""{"target_modules": "(?P<all>model\\.layers\\.\\d+\\.self_attn\\.[qv]_proj)"}""", null)]
    [DataRow("""{"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [], "layers_pattern": ""}""", null)]
    [DataRow("""{"target_modules": "all-linear", "exclude_modules": ".*(mlp|self_attn\\.[ko]).*"}""", null)]
    [DataRow("""{"target_modules": ["q_proj", "v_proj", "k_proj"], "exclude_modules": ["k_proj"]}""", null)]
    [DataRow("""{"target_modules": ["q_proj"]}""", "unexpected: " + Layer + "v_proj has tensors, and target_modules does not name it")]
    [DataRow("""{"target_modules": ["q_proj", "v_proj", "k_proj"]}""", "missing: " + Layer + "k_proj, which target_modules names")]
    [DataRow("""{"target_modules": "all-linear"}""", "missing: model.layers.0.mlp.down_proj, which target_modules names")]
    [DataRow("""{"target_modules": "q_proj"}""", "unexpected: " + Layer + "q_proj has tensors")]
    [DataRow("""{"exclude_modules": ["v_proj"]}""", "unexpected: " + Layer + "v_proj has tensors")]
    [DataRow("""{"layers_to_transform": 0}""", "unexpected: " + Other + "q_proj has tensors")]
    [DataRow("""{"layers_to_transform": [0], "layers_pattern": "layers"}""", "unexpected: " + Other + "q_proj has tensors")]
    [DataRow("""{"layers_to_transform": [0], "layers_pattern": ["h", "blocks"]}""", "unexpected: " + Layer + "q_proj has tensors")]
    [DataRow("""{"target_modules": "(q_proj"}""", "'target_modules' must be a regular expression")]
    [DataRow("""{"target_modules": "(.*)*(.*)*(.*)*x"}""", "'target_modules' takes more than a second")]
    [DataRow("""{"use_dora": true}""", "missing: " + Layer + "q_proj.lora_magnitude_vector")]
    [DataRow("""{"r": 3}""", "and this base, method and a rank (r) of 3 ask for")]
    public void TheConfigurationAndTheTensorsNameTheSame(string edits, string? problem)
    {
        using var folder = new TemporaryFolder();
        string file = Write(folder, edits: edits);
        using SorsaTransformer model = AdaptersFileTests.Base();
        if (problem is null)
        {
            model.LoadAdapter("it", file);
            return;
        }

        Assert.Contains(problem, Assert.ThrowsExactly<InvalidDataException>(() => model.LoadAdapter("it", file)).Message);
    }

    [TestMethod]
    public void TensorsOfDoraWithoutItsFlagAreRefused()
    {
        using var folder = new TemporaryFolder();
        string file = Write(folder, add: [Prefix + Layer + "q_proj.lora_magnitude_vector"]);

        Assert.Contains($"unexpected: {Layer}q_proj.lora_magnitude_vector", Refused<InvalidDataException>(file));
    }

    /// <summary>Names without "model.", of a model that was loaded without its head: the message shows how they are here.</summary>
    [TestMethod]
    public void AForeignTargetIsShownBesideTheModelsOwnNames()
    {
        using var folder = new TemporaryFolder();
        string file = Write(folder, rename: name => name.Replace("model.layers", "layers", StringComparison.Ordinal));

        Assert.Contains(
            "foreign target: layers.0.self_attn.q_proj is no projection of this model, whose are called such as model.layers.0.",
            Refused<InvalidDataException>(file));
    }

    private static SorsaTransformer Train()
    {
        SorsaTransformer trained = AdaptersFileTests.Train(FineTuningMethod.Lora, options => options.TargetModules = ["q_proj", "v_proj"]);
        trained.SaveAdapter(s_folder.File("peft"), AdapterFormat.Peft);
        return trained;
    }

    private static string Refused<TException>(string file)
        where TException : Exception
    {
        using SorsaTransformer model = AdaptersFileTests.Base();
        return Assert.ThrowsExactly<TException>(() => model.LoadAdapter("it", file)).Message;
    }

    /// <summary>The adapter with other names, more tensors (of [4, 64]), other values, or an edited configuration.</summary>
    private static string Write(
        TemporaryFolder folder, Func<string, string>? rename = null, string[]? add = null, Func<string, Tensor, Tensor>? change = null,
        string edits = "{}")
    {
        using var scope = NewDisposeScope();
        using Checkpoint written = Checkpoint.OpenFile(s_folder.File("peft", "adapter_model.safetensors"));
        KeyValuePair<string, Tensor>[] tensors =
        [
            .. written.Tensors.Select(named => KeyValuePair.Create(
                rename?.Invoke(named.Key) ?? named.Key, change?.Invoke(named.Key, named.Value) ?? named.Value)),
            .. (add ?? []).Select(name => KeyValuePair.Create(name, zeros(4, 64))),
        ];
        string file = Directory.CreateDirectory(folder.File("it")).FullName;
        using (FileStream stream = File.Create(Path.Combine(file, "adapter_model.safetensors")))
        {
            CheckpointWriter.Write(stream, tensors, ScalarType.Float32);
        }

        JsonNode config = JsonNode.Parse(File.ReadAllText(s_folder.File("peft", "adapter_config.json")))!;
        foreach ((string key, JsonNode? value) in JsonNode.Parse(edits)!.AsObject())
        {
            config[key] = value?.DeepClone();
        }

        File.WriteAllText(Path.Combine(file, "adapter_config.json"), config.ToJsonString());
        return file;
    }
}
