using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Checkpoints;
using Microsoft.ML.Sorsa.Tests.Surface;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>Model folders that other programs wrote in their own way.</summary>
[TestClass]
[TestCategory("Cases")]
[TestCategory("Checkpoints")]
public sealed class CheckpointCases
{
    private static readonly MLContext s_ml = new();

    [TestMethod]
    public void Case06AHeadThatDiffersIsUsedAndSaved()
    {
        using var temporary = new TemporaryFolder();
        string folder = TestData.Case("06-tied-but-another-head-is-stored", "model");

        // The same files, but for the flag: what a model with a head of its own computes.
        int[] expected = Bits(new EditedModel(temporary, folder).Config("tie_word_embeddings", "false").Folder);

        CollectionAssert.AreEqual(expected, Bits(folder));
        CollectionAssert.AreNotEqual(Bits(EditedModel.Mini), expected);

        string saved = temporary.File("saved");
        using (SorsaTransformer model = s_ml.Sorsa().LoadModel(folder))
        {
            model.SaveHuggingFace(saved);
        }

        using JsonDocument config = JsonDocument.Parse(File.ReadAllText(Path.Combine(saved, "config.json")));
        Assert.IsFalse(config.RootElement.GetProperty("tie_word_embeddings").GetBoolean());
        CollectionAssert.AreEqual(expected, Bits(saved));
    }

    [TestMethod]
    [DataRow(ScalarType.BFloat16)]
    [DataRow(ScalarType.Float32)]
    public void Case06AHeadThatIsTheEmbeddingMayGo(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        var model = new EditedModel(temporary);
        model.Put("lm_head.weight", model.Values("model.embed_tokens.weight").to(type));

        using CausalLM loaded = CausalLM.Load(model.Folder, ScalarType.Float32, CPU);

        Assert.IsTrue(loaded.Spec.TieWordEmbeddings);
        CollectionAssert.AreEqual(Bits(EditedModel.Mini), TinyTask.LogitBits(loaded));
    }

    [TestMethod]
    public void Case06AHeadOfAnotherShapeIsRefused()
    {
        using var scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        string folder = new EditedModel(temporary).Put("lm_head.weight", zeros([57, 16], ScalarType.BFloat16)).Folder;

        Assert.Contains("misshapen: lm_head.weight is [57, 16]", Refusal(folder));
    }

    /// <summary>The kind of case 06: what is left out by its name is looked at.</summary>
    [TestMethod]
    [DataRow(ScalarType.Float32, 10000.0, true)]
    [DataRow(ScalarType.BFloat16, 10000.0, true)]
    [DataRow(ScalarType.Float16, 10000.0, true)]
    [DataRow(ScalarType.Float32, 1e6, false)]
    [DataRow(ScalarType.BFloat16, 500.0, false)]
    public void Case06RotaryFrequenciesThatDifferAreRefused(ScalarType type, double theta, bool fits)
    {
        using var scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        Tensor frequencies = tensor(Enumerable.Range(0, 4).Select(i => Math.Pow(theta, -2.0 * i / 8)).ToArray()).to(type);
        string folder = new EditedModel(temporary).Put("model.layers.0.self_attn.rotary_emb.inv_freq", frequencies).Folder;

        if (fits)
        {
            CollectionAssert.AreEqual(Bits(EditedModel.Mini), Bits(folder));
        }
        else
        {
            string message = Refusal(folder);
            Assert.Contains("'model.layers.0.self_attn.rotary_emb.inv_freq' holds other rotary frequencies", message);
            Assert.Contains("(rope_theta 10000); a rope_theta of ", message);
        }
    }

    [TestMethod]
    public void Case12AByteOrderMarkIsSkipped()
    {
        string folder = TestData.Case("12-json-with-bom", "model");

        CollectionAssert.AreEqual(Bits(EditedModel.Mini), Bits(folder));
    }

    /// <summary>In every JSON file of a model and an adapter, and in the template; what is saved again can be read again.</summary>
    [TestMethod]
    public void Case12AByteOrderMarkIsSkippedInEveryFile()
    {
        using var temporary = new TemporaryFolder();
        EditedModel model = new EditedModel(temporary, TestData.TinyLlama).Sharded();
        string adapter = temporary.File("adapter"), saved = temporary.File("saved"), zip = temporary.File("model.zip");
        model.Set("chat_template.jinja", "{{ messages }}");
        using (SorsaTransformer trained = Fit(model.Folder))
        {
            trained.SaveAdapter(adapter);
        }

        string before = Answer(model.Folder, adapter);
        string[] files = [.. Directory.GetFiles(model.Folder, "*.j*"), .. Directory.GetFiles(adapter, "*.json")];
        foreach (string file in files)
        {
            File.WriteAllBytes(file, [0xEF, 0xBB, 0xBF, .. File.ReadAllBytes(file)]);
        }

        Assert.IsGreaterThanOrEqualTo(7, files.Length);
        Assert.AreEqual(before, Answer(model.Folder, adapter));
        using (SorsaTransformer loaded = Load(model.Folder))
        {
            Assert.AreEqual("{{ messages }}", loaded.Model.Prompts.Tokenizer.ChatTemplateText);
            loaded.SaveHuggingFace(saved);
            s_ml.Model.Save(loaded, null, zip);
        }

        using SorsaTransformer again = Load(saved), zipped = (SorsaTransformer)s_ml.Model.Load(zip, out _);
        CollectionAssert.AreEqual(TinyTask.LogitBits(again.Model.Network), TinyTask.LogitBits(zipped.Model.Network));
    }

    [TestMethod]
    public void Case13AGitLfsPointerIsNamed()
    {
        string message = Refusal(TestData.Case("13-git-lfs-pointer", "model"));

        Assert.Contains("model.safetensors' is a Git LFS pointer", message);
        Assert.Contains("git lfs pull", message);
    }

    public static IEnumerable<object[]> WrongFiles =>
    [
        ["version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n"u8.ToArray(), "Git LFS pointer"],
        ["  <!DOCTYPE html><html>"u8.ToArray(), "a web page"],
        [new byte[] { 0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2 }, "gzip"],
        ["PK\x3\x4\x14\0\0\0\0\0archive/data.pkl"u8.ToArray(), "PyTorch's checkpoints"],
        [new byte[] { 0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20 }, "a Python pickle"],
        ["GGUF\x3\0\0\0\0\0\0\0"u8.ToArray(), "a GGUF file"],
        ["Entry not found"u8.ToArray(), "no such file"],
        [new byte[200], "zeros"],
        [Array.Empty<byte>(), "is empty"],
    ];

    /// <summary>The kind of case 13: each wrong file in the place of each file of a model.</summary>
    [TestMethod]
    [DynamicData(nameof(WrongFiles))]
    public void Case13AWrongFileIsNamedWhereverItLies(byte[] content, string what)
    {
        string[] names =
        [
            "model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
            "generation_config.json", "chat_template.jinja", "tokenizer.model", "model.safetensors.index.json",
            "model-00002-of-00002.safetensors",
        ];
        foreach (string name in names)
        {
            using var temporary = new TemporaryFolder();
            var model = new EditedModel(temporary);
            if (name.Contains("000", StringComparison.Ordinal) || name.Contains("index", StringComparison.Ordinal))
            {
                model.Sharded();
            }

            if (name == "tokenizer.model")
            {
                File.Delete(model.File("tokenizer.json"));
            }

            string message = Refusal(model.Set(name, content).Folder);

            Assert.Contains(name, message, name);
            Assert.Contains(what, message, name);
        }
    }

    /// <summary>The same for an adapter's files, our own and PEFT's.</summary>
    [TestMethod]
    [DynamicData(nameof(WrongFiles))]
    public void Case13AWrongFileOfAnAdapterIsNamed(byte[] content, string what)
    {
        foreach (string name in new[] { "adapter.json", "adapter.safetensors", "adapter_config.json", "adapter_model.safetensors" })
        {
            using var temporary = new TemporaryFolder();
            bool isPeft = name.StartsWith("adapter_", StringComparison.Ordinal);
            var adapter = new EditedModel(temporary, isPeft
                ? TestData.Case("11-peft-rank-is-not-config-r", "r8-in-config-rank-4-in-file")
                : TestData.Attack("own-adapter-scale-silent"));
            adapter.Set(name, content);
            using SorsaTransformer model = s_ml.Sorsa().LoadModel(EditedModel.Mini);

            string message = Assert.Throws<InvalidDataException>(() => model.LoadAdapter("a", adapter.Folder)).Message;

            Assert.Contains(name, message, name);
            Assert.Contains(what, message, name);
        }
    }

    [TestMethod]
    public void Case14ABufferOfAnotherTypeHurtsNobody() => CollectionAssert.AreEqual(
        Bits(EditedModel.Mini), Bits(TestData.Case("14-other-dtypes", "bool-buffer")));

    /// <summary>Every type of the format, as a buffer larger than the model, whose weights stay what the model is stored in.</summary>
    [TestMethod]
    [DataRow("BOOL", 8)]
    [DataRow("U8", 8)]
    [DataRow("I8", 8)]
    [DataRow("F8_E4M3", 8)]
    [DataRow("F8_E5M2", 8)]
    [DataRow("F8_E8M0", 8)]
    [DataRow("F8_E4M3FNUZ", 8)]
    [DataRow("F8_E5M2FNUZ", 8)]
    [DataRow("F6_E2M3", 6)]
    [DataRow("F6_E3M2", 6)]
    [DataRow("F4", 4)]
    [DataRow("I16", 16)]
    [DataRow("U16", 16)]
    [DataRow("I32", 32)]
    [DataRow("U32", 32)]
    [DataRow("I64", 64)]
    [DataRow("U64", 64)]
    [DataRow("C64", 64)]
    public void Case14EveryTypeOfTheFormatIsRead(string type, int bits)
    {
        using var temporary = new TemporaryFolder();
        var model = new EditedModel(temporary);
        model.Add("model.buffer", type, [64, 64], 64 * 64 * bits / 8);

        CollectionAssert.AreEqual(Bits(EditedModel.Mini), Bits(model.Folder));
        using CausalLM loaded = CausalLM.Load(model.Folder, ScalarType.Float32, CPU);
        Assert.AreEqual(ScalarType.BFloat16, loaded.StoredType);

        model.Tensors(tensors => tensors.Select(tensor => tensor.Name == "model.norm.weight"
            ? (tensor.Name, type, new long[] { 16 }, new byte[16 * bits / 8])
            : tensor));
        string message = Refusal(model.Folder);
        Assert.Contains($"mistyped: model.norm.weight is {type}, and weights are F64, F32, F16 or BF16", message);
        Assert.DoesNotContain("model.layers", message);
    }

    [TestMethod]
    public void Case14AFloatingPointTensorThatNobodyAsksForIsStillRefused()
    {
        using var temporary = new TemporaryFolder();

        Assert.Contains(
            "unexpected: model.layers.0.self_attn.q_proj.bias [16]",
            Refusal(new EditedModel(temporary).Add("model.layers.0.self_attn.q_proj.bias", "BF16", [16], 32).Folder));
    }

    [TestMethod]
    public void Case15TheMarkOfACompiledModelIsTakenOff() => CollectionAssert.AreEqual(
        Bits(EditedModel.Mini), Bits(TestData.Case("15-one-prefix-hundreds-of-lines", "orig_mod")));

    [TestMethod]
    [DataRow("_orig_mod.", "")]
    [DataRow("module.", "")]
    [DataRow("module._orig_mod.", "")]
    [DataRow("_fsdp_wrapped_module.", "")]
    [DataRow("base_model.model.", "")]
    [DataRow("language_model.", "")]
    [DataRow("a.b.c.", "")]
    [DataRow("", "model.")]
    [DataRow("transformer.", "model.")]
    public void Case15WhatStandsInFrontOfEveryNameIsTakenOff(string added, string removed)
    {
        using var temporary = new TemporaryFolder();
        string head = TestData.Case("06-tied-but-another-head-is-stored", "model");
        foreach (bool sharded in new[] { false, true })
        {
            foreach ((string source, string kind) in new[] { (EditedModel.Mini, "tied"), (head, "untied") })
            {
                EditedModel model = new EditedModel(temporary, source, $"{kind} {sharded}")
                    .Rename(name => added + (name.StartsWith(removed, StringComparison.Ordinal) ? name[removed.Length..] : name));
                CollectionAssert.AreEqual(Bits(source), Bits((sharded ? model.Sharded() : model).Folder), $"{kind} {sharded}");
            }
        }
    }

    [TestMethod]
    public void Case15MarksOfSingleLayersAreTakenOff()
    {
        using var temporary = new TemporaryFolder();
        string folder = new EditedModel(temporary)
            .Rename(name => name.Replace("layers.0.", "layers.0._checkpoint_wrapped_module._orig_mod.", StringComparison.Ordinal)).Folder;

        CollectionAssert.AreEqual(Bits(EditedModel.Mini), Bits(folder));
    }

    [TestMethod]
    public void Case15AModelUnderAPrefixThatDoesNotFitNamesIt()
    {
        using var temporary = new TemporaryFolder();

        string message = Refusal(new EditedModel(temporary).Rename(name => "module." + name).Config("intermediate_size", "32").Folder);

        Assert.Contains("read without the prefix 'module.' of their names", message);
        Assert.Contains("misshapen: model.layers.0.mlp.up_proj.weight is [24, 16]", message);
    }

    [TestMethod]
    public void Case15TwoModelsInOneFileAreNotMixed()
    {
        using var temporary = new TemporaryFolder();
        string folder = new EditedModel(temporary)
            .Tensors(tensors => tensors.Concat(tensors.Select(tensor => tensor with { Name = "ema." + tensor.Name }))).Folder;

        Assert.Contains("unexpected: ema.model.embed_tokens.weight", Refusal(folder));
    }

    [TestMethod]
    public void Case15AtMostTenNamesAreListed()
    {
        using var temporary = new TemporaryFolder();

        string message = Refusal(new EditedModel(temporary, TestData.TinyLlama).Rename(name => $"{name}.x").Folder);

        string[] lines = message.Split(Environment.NewLine);
        Assert.HasCount(12, lines);
        Assert.IsTrue(lines.Any(line => line.Contains("missing", StringComparison.Ordinal)));
        Assert.IsTrue(lines.Any(line => line.Contains("unexpected", StringComparison.Ordinal)));
        Assert.Contains(" more", lines[^1]);
    }

    [TestMethod]
    [DataRow(ScalarType.Float32)]
    [DataRow(ScalarType.Float64)]
    public void Case20AnAdapterFitsTheSameWeightsInAnotherType(ScalarType type)
    {
        using var temporary = new TemporaryFolder();
        string wider = new EditedModel(temporary, TestData.TinyLlama).In(type).Folder, adapter = temporary.File("adapter");
        using (SorsaTransformer trained = Fit(TestData.TinyLlama))
        {
            trained.SaveAdapter(adapter);
        }

        using SorsaTransformer there = Load(wider), here = Load(TestData.TinyLlama);
        there.LoadAdapter("a", adapter);
        here.LoadAdapter("a", adapter);
        Assert.AreEqual(here.Model.Network.Fingerprint, there.Model.Network.Fingerprint);

        there.UseAdapter("a");
        Assert.IsGreaterThan(0, there.Generate(TinyTask.Rows[0].Prompt).Length);
    }

    private static SorsaTransformer Fit(string folder)
    {
        SorsaFineTuningTrainer.Options options = TinyTask.Options();
        options.ModelFolder = folder;
        options.MaxSteps = 2;
        return s_ml.Sorsa().FineTune(options).Fit(TinyTask.Data(s_ml));
    }

    private static SorsaTransformer Load(string folder) =>
        s_ml.Sorsa().LoadModel(folder, generation: new GenerationOptions { MaxNewTokens = 8 });

    private static string Answer(string folder, string adapter)
    {
        using SorsaTransformer model = Load(folder);
        model.LoadAdapter("a", adapter);
        model.UseAdapter("a");
        return model.Generate(TinyTask.Rows[0].Prompt);
    }

    private static int[] Bits(string folder)
    {
        using CausalLM model = CausalLM.Load(folder, ScalarType.Float32, CPU);
        return TinyTask.LogitBits(model);
    }

    private static string Refusal(string folder) =>
        Assert.Throws<InvalidDataException>(() => s_ml.Sorsa().LoadModel(folder).Dispose()).Message;
}
