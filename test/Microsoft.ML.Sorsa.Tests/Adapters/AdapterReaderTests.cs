using Microsoft.ML.Sorsa.Adapters.Files;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

/// <summary>Folders that are no adapter: the message says what they are and what to do.</summary>
[TestClass]
[TestCategory("Adapters")]
public sealed class AdapterReaderTests
{
    [TestMethod]
    [DataRow("checkpoint-20/adapter_config.json checkpoint-40/adapter_config.json", "name one of 'checkpoint-20', 'checkpoint-40'.")]
    [DataRow("default/adapter.json", "name one of 'default'.")]
    [DataRow("refs/main snapshots/0123abcd/adapter_config.json", "name one of 'snapshots/0123abcd'.")]
    [DataRow("config.json model.safetensors", "a whole model, not an adapter: open it with mlContext.Sorsa().LoadModel")]
    [DataRow("config.json model.safetensors.index.json", "a whole model, not an adapter")]
    [DataRow("config.json pytorch_model.bin", "a whole model, not an adapter")]
    [DataRow("adapter_model.safetensors", "adapter_config.json, which says rank and scale, is missing")]
    [DataRow("adapter_model.bin", "adapter_config.json, which says rank and scale, is missing")]
    [DataRow("adapter.safetensors", "adapter.json is missing")]
    [DataRow("pytorch_lora_weights.safetensors", "an adapter of diffusers")]
    [DataRow("lora.gguf", "It holds GGUF files")]
    [DataRow("readme.txt", "Name a folder that SaveAdapter or PEFT wrote.")]
    public void AFolderWithoutAnAdapterIsSaidToBeWhatItIs(string files, string message)
    {
        using var folder = new TemporaryFolder();
        Fill(folder, files);

        string refused = Assert.ThrowsExactly<FileNotFoundException>(() => AdapterReader.Read(folder.Path)).Message;

        Assert.Contains("has neither adapter.json nor adapter_config.json", refused);
        Assert.Contains(message, refused);
    }

    [TestMethod]
    public void TwoAdaptersInOneFolderAreRefused()
    {
        using var folder = new TemporaryFolder();
        Fill(folder, "adapter.json adapter_config.json");

        Assert.Contains(
            "which are two adapters", Assert.ThrowsExactly<InvalidDataException>(() => AdapterReader.Read(folder.Path)).Message);
    }

    [TestMethod]
    public void AFileAndAnIdAreToldFromAFolder()
    {
        using var folder = new TemporaryFolder();
        Fill(folder, "adapter_model.safetensors");

        Assert.Contains("is a file. Name the folder", Refused(folder.File("adapter_model.safetensors")));
        Assert.Contains("hf download somebody/some-lora --local-dir", Refused("somebody/some-lora"));
        Assert.DoesNotContain("hf download", Refused(folder.File("adapters", "mine")));
        Assert.DoesNotContain("hf download", Refused("./mine"));

        static string Refused(string path) =>
            Assert.ThrowsExactly<DirectoryNotFoundException>(() => AdapterReader.Read(path)).Message;
    }

    [TestMethod]
    public void APeftConfigurationWithoutTensorsSaysWhatIsThere()
    {
        using var folder = new TemporaryFolder();
        Fill(folder, "notes.txt");
        File.WriteAllText(folder.File("adapter_config.json"), """{"peft_type": "LORA", "r": 4, "lora_alpha": 4}""");

        Assert.Contains(
            "without adapter_model.safetensors. Copy both files; the folder holds 'adapter_config.json', 'notes.txt'.",
            Assert.ThrowsExactly<FileNotFoundException>(() => AdapterReader.Read(folder.Path)).Message);
    }

    [TestMethod]
    public void AnAdapterOfMlxIsSaidToBeOne()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(
            folder.File("adapter_config.json"), """{"fine_tune_type": "lora", "lora_parameters": {"rank": 8, "scale": 20.0}}""");

        Assert.Contains("mlx_lm.fuse", Assert.ThrowsExactly<NotSupportedException>(() => AdapterReader.Read(folder.Path)).Message);
    }

    private static void Fill(TemporaryFolder folder, string files)
    {
        foreach (string file in files.Split(' '))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(folder.File(file))!);
            File.WriteAllText(folder.File(file), "");
        }
    }
}
