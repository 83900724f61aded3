using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Tests.Checkpoints;

/// <summary>What people name instead of a model's folder, and what the error tells them to do.</summary>
[TestClass]
[TestCategory("Checkpoints")]
[TestCategory("Cases")]
public sealed class ModelFolderTests
{
    [TestMethod]
    [DataRow("org-of-nobody/some-model", "hf download org-of-nobody/some-model --local-dir some-model")]
    [DataRow("https://huggingface.co/org/name", "hf download org/name --local-dir name")]
    [DataRow("https://huggingface.co/org/name/tree/main", "hf download org/name --local-dir name")]
    [DataRow("hf://org/name.with-dots_1", "hf download org/name.with-dots_1 --local-dir name.with-dots_1")]
    public void AnIdOfTheHubIsToBeDownloaded(string id, string remedy)
    {
        string message = Assert.ThrowsExactly<DirectoryNotFoundException>(() => DecoderConfig.Load(id)).Message;
        Assert.Contains(remedy, message);
        Assert.Contains("git clone https://huggingface.co/", message);

        // The trainer makes the path whole first.
        Assert.Contains(remedy, Assert.ThrowsExactly<DirectoryNotFoundException>(() => new MLContext().Sorsa().FineTune(id)).Message);
        Assert.Contains(remedy, Assert.ThrowsExactly<DirectoryNotFoundException>(() => new MLContext().Sorsa().LoadModel(id)).Message);
    }

    [TestMethod]
    [DataRow("nowhere")]
    [DataRow("/nowhere/at/all")]
    [DataRow("a/b/c")]
    public void AFolderThatIsNotThereIsNoId(string folder) => Assert.DoesNotContain(
        "hf download", Assert.ThrowsExactly<DirectoryNotFoundException>(() => DecoderConfig.Load(folder)).Message);

    [TestMethod]
    [DataRow("model.gguf", "is a GGUF file")]
    [DataRow("model.safetensors", "Name the folder that it is in")]
    [DataRow("config.json", "Name the folder that it is in")]
    [DataRow("model.zip", "LoadZip")]
    [DataRow("model.bin", "is a file")]
    public void AFileIsNoFolder(string name, string message)
    {
        using var temporary = new TemporaryFolder();
        File.WriteAllText(temporary.File(name), "x");

        string said = Assert.ThrowsExactly<DirectoryNotFoundException>(() => DecoderConfig.Load(temporary.File(name))).Message;

        Assert.Contains(message, said);
        Assert.Contains(temporary.File(name), said);
    }

    /// <summary>hub/models--ORG--NAME/{blobs,refs,snapshots/COMMIT}: whichever of these is named.</summary>
    [TestMethod]
    [DataRow("hub")]
    [DataRow("hub/models--org--name")]
    [DataRow("hub/models--org--name/snapshots")]
    public void ACacheNamesItsSnapshots(string named)
    {
        using var temporary = new TemporaryFolder();
        string snapshot = Directory.CreateDirectory(temporary.File("hub", "models--org--name", "snapshots", "0123abc")).FullName;
        Directory.CreateDirectory(temporary.File("hub", "models--org--name", "blobs"));
        File.WriteAllText(Path.Combine(snapshot, "config.json"), "{}");

        var error = Assert.ThrowsExactly<FileNotFoundException>(() => DecoderConfig.Load(temporary.File(named.Split('/'))));

        Assert.Contains($"name a snapshot in it: '{snapshot}'", error.Message);
    }

    [TestMethod]
    public void ACacheWithoutASnapshotWasNotDownloaded()
    {
        using var temporary = new TemporaryFolder();
        Directory.CreateDirectory(temporary.File("models--org--name", "snapshots"));

        Assert.Contains("the download did not end", Assert.ThrowsExactly<FileNotFoundException>(
            () => DecoderConfig.Load(temporary.File("models--org--name"))).Message);
    }

    [TestMethod]
    public void AFolderOfModelsListsTen()
    {
        using var temporary = new TemporaryFolder();
        for (int i = 10; i < 25; i++)
        {
            string folder = Directory.CreateDirectory(temporary.File($"checkpoint-{i}")).FullName;
            File.WriteAllText(Path.Combine(folder, "config.json"), "{}");
        }

        string message = Assert.ThrowsExactly<FileNotFoundException>(() => DecoderConfig.Load(temporary.Path)).Message;

        Assert.Contains("checkpoint-10", message);
        Assert.Contains("checkpoint-19", message);
        Assert.DoesNotContain("checkpoint-20", message);
        Assert.Contains("and 5 more", message);
    }

    [TestMethod]
    [DataRow("model-q4.gguf", "GGUF is for llama.cpp")]
    [DataRow("pytorch_model.bin", "save_pretrained")]
    [DataRow("pytorch_model-00001-of-00002.bin", "save_pretrained")]
    [DataRow("tf_model.h5", "save_pretrained")]
    [DataRow("model.pth", "save_pretrained")]
    [DataRow("consolidated.00.pth", "Hugging Face layout")]
    [DataRow("adapter_model.safetensors", "LoadAdapter")]
    [DataRow("adapter_model.bin", "LoadAdapter")]
    [DataRow("model-00001-of-00002.safetensors", "model.safetensors.index.json")]
    [DataRow("weights.safetensors", "must be called model.safetensors")]
    [DataRow(null, "It is empty")]
    public void WhatIsThereInsteadOfWeightsIsNamed(string? name, string remedy)
    {
        using var temporary = new TemporaryFolder();
        if (name is not null)
        {
            File.WriteAllText(temporary.File(name), "x");
        }

        foreach (FileNotFoundException error in new[]
        {
            Assert.ThrowsExactly<FileNotFoundException>(() => DecoderConfig.Load(temporary.Path)),
            Assert.ThrowsExactly<FileNotFoundException>(() => Checkpoint.OpenFolder(temporary.Path)),
        })
        {
            Assert.Contains(remedy, error.Message);
            Assert.Contains(name ?? temporary.Path, error.Message);
        }
    }

    [TestMethod]
    public void AMissingShardOfACacheIsALinkThatLeadsNowhere()
    {
        using var temporary = new TemporaryFolder();
        var model = new EditedModel(temporary);
        File.Delete(model.File("model.safetensors"));
        File.CreateSymbolicLink(model.File("model.safetensors"), "../../blobs/0123");

        var error = Assert.ThrowsExactly<FileNotFoundException>(() => Checkpoint.OpenFolder(model.Folder));

        Assert.Contains("model.safetensors' is a link to '../../blobs/0123', which leads to no file", error.Message);
    }
}
