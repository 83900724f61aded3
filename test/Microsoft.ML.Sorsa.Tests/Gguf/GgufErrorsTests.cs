using Microsoft.ML.Sorsa.Gguf;
using Microsoft.ML.Sorsa.Tests.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Gguf;

/// <summary>What is refused, and that nothing is left of it.</summary>
[TestClass]
[TestCategory("Gguf")]
public sealed class GgufErrorsTests
{
    private static readonly SorsaTransformer s_model = GgufModels.Bundled();

    [ClassCleanup]
    public static void Free() => s_model.Dispose();

    [TestMethod]
    public void ATypeThatTheFormatHasNotIsRefused()
    {
        using var folder = new TemporaryFolder();

        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => s_model.SaveGguf(folder.File("model.gguf"), (GgufType)2));

        Assert.AreEqual("type", error.ParamName);
        Assert.Contains("it must be one of F32, F16, Q8_0, BF16", error.Message);
        Assert.IsEmpty(Directory.GetFileSystemEntries(folder.Path));
    }

    [TestMethod]
    public void AnEmptyNameIsRefused()
    {
        Assert.ThrowsExactly<ArgumentException>(() => s_model.SaveGguf(" ", GgufType.F32));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => s_model.SaveGguf("model.gguf", GgufType.F32, preTokenizer: " "));
        Assert.ThrowsExactly<ArgumentNullException>(() => SorsaGgufExtensions.SaveGguf(null!, "model.gguf"));
    }

    /// <summary>llama.cpp loads no file with a name that it has not; every name that is found by a hash, it has.</summary>
    [TestMethod]
    public void ANameThatLlamaCppHasNotIsRefused()
    {
        using var folder = new TemporaryFolder();

        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => s_model.SaveGguf(folder.File("model.gguf"), GgufType.F32, preTokenizer: "llama-9"));

        Assert.AreEqual("preTokenizer", error.ParamName);
        Assert.Contains("preTokenizer is 'llama-9'; it must be one of a.x-4.0, ", error.Message);
        Assert.IsEmpty(Directory.GetFileSystemEntries(folder.Path));
        Assert.IsEmpty(PreTokenizerHashes.Names.Values.Except(SorsaGgufExtensions.PreTokenizers, StringComparer.Ordinal));
    }

    [TestMethod]
    public void AFullDiskIsSeenBefore()
    {
        using var folder = new TemporaryFolder();
        using var disk = MountPoint.Memory(folder.File("disk"), "size=1m");
        string path = folder.File("disk", "model.gguf");

        string message = Assert.ThrowsExactly<IOException>(() => s_model.SaveGguf(path, GgufType.F32)).Message;

        Assert.Contains(path, message);
        Assert.Contains("it takes 5.0 MB, and 1.0 MB are free", message);
        Assert.IsEmpty(Directory.GetFileSystemEntries(folder.File("disk")));
    }

    [TestMethod]
    public void APlaceThatIsNoneIsRefused()
    {
        using var folder = new TemporaryFolder();

        Assert.ThrowsExactly<DirectoryNotFoundException>(() => s_model.SaveGguf(folder.File("no", "model.gguf")));
        Assert.ThrowsExactly<IOException>(() => s_model.SaveGguf(folder.Path));
    }

    [TestMethod]
    public void AFileThatIsThereIsReplacedWhole()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("model.gguf");
        File.WriteAllText(path, "old");

        s_model.SaveGguf(path, GgufType.Q8_0);

        Assert.HasCount(56, GgufContent.Read(path).Tensors);
        CollectionAssert.AreEqual(new[] { path }, Directory.GetFileSystemEntries(folder.Path));
    }

    [TestMethod]
    [DataRow(7e4f, GgufType.F16)]
    [DataRow(9e6f, GgufType.Q8_0)]
    [DataRow(float.NaN, GgufType.BF16)]
    [DataRow(float.NegativeInfinity, GgufType.Q8_0)]
    [DataRow(float.NaN, GgufType.F32)]
    [DataRow(float.PositiveInfinity, GgufType.F32)]
    [DataRow(float.NaN, GgufType.F16, "model.layers.1.input_layernorm.weight", "blk.1.attn_norm.weight")]
    [DataRow(float.NegativeInfinity, GgufType.Q8_0, "model.norm.weight", "output_norm.weight")]
    public void AValueOutsideTheTypeIsRefused(
        float value, GgufType type, string name = "model.layers.1.mlp.up_proj.weight", string nameInFile = "blk.1.ffn_up.weight")
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = GgufModels.Golden("llama-mha", folder.Path);
        Set(model, name, value);
        string path = folder.File("gguf", "model.gguf");
        Directory.CreateDirectory(folder.File("gguf"));
        File.WriteAllText(path, "old");

        string message = Assert.ThrowsExactly<ArithmeticException>(() => model.SaveGguf(path, type)).Message;

        Assert.Contains($"'{nameInFile}'", message);
        Assert.Contains(float.IsFinite(value) ? "Choose GgufType.F32" : "not finite", message);
        Assert.AreEqual("old", File.ReadAllText(path));
        Assert.HasCount(1, Directory.GetFileSystemEntries(folder.File("gguf")));
    }

    /// <summary>Float32 holds what the narrower types refuse.</summary>
    [TestMethod]
    [DataRow(float.MaxValue)]
    [DataRow(float.MinValue)]
    public void AnyFiniteValueIsInFloat32(float value)
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer model = GgufModels.Golden("llama-mha", folder.Path);
        Set(model, "model.layers.1.mlp.up_proj.weight", value);

        Assert.AreEqual(value, GgufModels.Write(model, GgufType.F32).Values("blk.1.ffn_up.weight")[5]);
    }

    [TestMethod]
    public void AModelWithoutAnEndIsRefused()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer golden = GgufModels.Golden("llama-mha", folder.Path, config => config.Remove("eos_token_id"));
        File.WriteAllText(folder.File("tokenizer_config.json"), """{"bos_token": "<s>"}""");
        using SorsaTransformer model = GgufModels.Context.Sorsa().LoadModel(folder.Path);

        string message = Assert.ThrowsExactly<NotSupportedException>(() => model.SaveGguf(folder.File("model.gguf"))).Message;

        Assert.Contains("eos_token_id in config.json", message);
    }

    [TestMethod]
    public void AfterDisposeItIsRefused()
    {
        SorsaTransformer model = GgufModels.Bundled();
        model.Dispose();

        Assert.ThrowsExactly<ObjectDisposedException>(() => model.SaveGguf("model.gguf"));
    }

    /// <summary>What llama.cpp will do otherwise stands in the log.</summary>
    [TestMethod]
    public void DifferencesAreWarnings()
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer golden = GgufModels.Golden("llama-mha", folder.Path);
        GgufModels.WriteTokenizer(folder.Path, json => json["added_tokens"]![2]!["rstrip"] = true);
        var context = new MLContext();
        var warnings = new List<string>();
        context.Log += (_, entry) =>
        {
            if (entry.Kind == Runtime.ChannelMessageKind.Warning)
            {
                warnings.Add(entry.RawMessage);
            }
        };
        using SorsaTransformer model = context.Sorsa().LoadModel(folder.Path);

        model.SaveGguf(folder.File("model.gguf"));

        Assert.Contains("lstrip, rstrip, single_word): </s>", string.Join("; ", warnings));
    }

    /// <summary>A file has keys for three tokens that end an answer: with three nothing is told, the others are.</summary>
    [TestMethod]
    [DataRow(new[] { 2, 20, 21 }, null)]
    [DataRow(new[] { 2, 20, 21, 22, 23 }, "are not among them: 3, 4.")]
    public void EndTokensThatTheFileHasNoKeyForAreWarnings(int[] ends, string? told)
    {
        using var folder = new TemporaryFolder();
        using SorsaTransformer golden = GgufModels.Golden("llama-mha", folder.Path, config => config["eos_token_id"] =
            new System.Text.Json.Nodes.JsonArray([.. ends.Select(id => System.Text.Json.Nodes.JsonValue.Create(id))]));
        var context = new MLContext();
        var warnings = new List<string>();
        context.Log += (_, entry) =>
        {
            if (entry.Kind == Runtime.ChannelMessageKind.Warning && entry.RawMessage.Contains("end an answer", StringComparison.Ordinal))
            {
                warnings.Add(entry.RawMessage);
            }
        };
        using SorsaTransformer model = context.Sorsa().LoadModel(folder.Path);

        model.SaveGguf(folder.File("model.gguf"));

        Dictionary<string, object> keys = GgufContent.Read(folder.File("model.gguf")).Keys;
        Assert.AreEqual(2u, keys["tokenizer.ggml.eos_token_id"]);
        Assert.AreEqual(20u, keys["tokenizer.ggml.eot_token_id"]);
        Assert.AreEqual(21u, keys["tokenizer.ggml.eom_token_id"]);
        Assert.HasCount(told is null ? 0 : 1, warnings);
        Assert.Contains(told ?? "", string.Join("; ", warnings));
    }

    private static void Set(SorsaTransformer model, string name, float value)
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor weight = model.Model.Network.NamedWeights.Single(named => named.Key == name).Value;
        float[] values = weight.data<float>().ToArray();
        values[5] = value;
        weight.set_(tensor(values, weight.shape));
    }
}
