using System.Text.Json;
using System.Text.Json.Nodes;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>Adapters' folders as people have them.</summary>
[TestClass]
[DoNotParallelize]
[TestCategory("Cases")]
[TestCategory("Adapters")]
public sealed class AdapterCases
{
    private static readonly MLContext s_context = new();

    [TestMethod]
    [DataRow("r8-in-config-rank-4-in-file", "lora_A is Float32 [4, 16], and this base, method and a rank (r) of 8 ask for")]
    [DataRow("r4-in-config-rank-8-in-file", "lora_B is Float32 [16, 8], and this base, method and a rank (r) of 4 ask for")]
    public void Case11TheRankOfConfigAndTensorsMustAgree(string folder, string problem)
    {
        var refused = Refuses<InvalidDataException>(TestData.Case("11-peft-rank-is-not-config-r", folder));

        Assert.Contains("misshapen", refused.Message);
        Assert.Contains(problem, refused.Message);
    }

    [TestMethod]
    [DataRow("peft", "adapter_config.json")]
    [DataRow("peft", "adapter_model.safetensors")]
    [DataRow("own", "adapter.json")]
    [DataRow("own", "adapter.safetensors")]
    public void Case13APointerInAnAdaptersPlaceIsNamed(string format, string name)
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("it");
        using (SorsaTransformer lora = Adapters.AdaptersFileTests.Train(FineTuningMethod.Lora))
        {
            lora.SaveAdapter(file, format == "peft" ? AdapterFormat.Peft : AdapterFormat.Sorsa);
        }

        File.Copy(TestData.Case("13-git-lfs-pointer", "model", "model.safetensors"), Path.Combine(file, name), overwrite: true);

        string refused = Refuses<InvalidDataException>(file).Message;

        Assert.Contains($"{name}' is a Git LFS pointer", refused);
        Assert.Contains("git lfs pull", refused);
    }

    [TestMethod]
    public void Case16APickledAdapterIsNamedWithWhatToDo()
    {
        var refused = Refuses<FileNotFoundException>(TestData.Case("16-peft-files-unclear-errors", "adapter_model.bin"));

        Assert.Contains("adapter_model.bin, a pickled program", refused.Message);
        Assert.Contains("safe_serialization=True", refused.Message);
    }

    [TestMethod]
    public void Case16SavedEmbeddingsAreNamedWithWhatToDo()
    {
        var refused = Refuses<NotSupportedException>(TestData.Case("16-peft-files-unclear-errors", "embedding-saved"));

        Assert.Contains("base_model.model.model.embed_tokens.weight", refused.Message);
        Assert.Contains("merge_and_unload", refused.Message);
        Assert.Contains("save_embedding_layers=False", refused.Message);
    }

    [TestMethod]
    [DataRow("{}", "the-base", "the-base")]
    [DataRow("""{"_name_or_path": "org/The-Base"}""", "the-base", "org/The-Base")]
    [DataRow("""{"_name_or_path": "org/what-it-was-tuned-from"}""", "the-base", "the-base")]
    [DataRow("""{"_name_or_path": "/home/somebody/the-base"}""", "the-base", "the-base")]
    [DataRow("""{"_name_or_path": 7}""", "the-base", "the-base")]
    [DataRow("{}", "models--org--The-Base/snapshots/0123abcd", "org/The-Base")]
    public void Case18APeftAdapterNamesItsBase(string config, string folder, string expected)
    {
        using var temporary = new TemporaryFolder();
        string model = Directory.CreateDirectory(temporary.File(folder.Split('/'))).FullName;
        foreach (string file in Directory.GetFiles(TestData.TinyLlama))
        {
            File.Copy(file, Path.Combine(model, Path.GetFileName(file)));
        }

        JsonObject edited = JsonNode.Parse(File.ReadAllText(Path.Combine(model, "config.json")))!.AsObject();
        edited.Remove("_name_or_path");
        foreach ((string key, JsonNode? value) in JsonNode.Parse(config)!.AsObject())
        {
            edited[key] = value!.DeepClone();
        }

        File.WriteAllText(Path.Combine(model, "config.json"), edited.ToJsonString());
        using SorsaTransformer lora = Adapters.AdaptersFileTests.Train(FineTuningMethod.Lora, options => options.ModelFolder = model);

        lora.SaveAdapter(temporary.File("peft"), AdapterFormat.Peft);
        lora.SaveAdapter(temporary.File("difference"), AdapterFormat.LoraDifference);

        Assert.AreEqual(expected, BaseName("peft"));
        Assert.AreEqual(expected, BaseName("difference"));

        string? BaseName(string name)
        {
            using JsonDocument written = JsonDocument.Parse(File.ReadAllText(temporary.File(name, "adapter_config.json")));
            return written.RootElement.GetProperty("base_model_name_or_path").GetString();
        }
    }

    private static TException Refuses<TException>(string adapter)
        where TException : Exception
    {
        using SorsaTransformer model = s_context.Sorsa().LoadModel(TestData.Case("00-mini-model"));
        TException refused = Assert.ThrowsExactly<TException>(() => model.LoadAdapter("it", adapter));
        Assert.IsEmpty(model.AdapterNames);
        return refused;
    }
}
