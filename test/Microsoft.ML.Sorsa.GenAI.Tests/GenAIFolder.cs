using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.GenAI.Tests;

/// <summary>A copy of the bundled model, as a folder that FromPretrained reads; gone when the test is.</summary>
internal sealed class GenAIFolder : IDisposable
{
    private const string Embedding = "model.embed_tokens.weight", Weights = "model.safetensors";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("sorsa-");

    /// <param name="kind">llama-tied, as it is bundled; llama-untied and mistral have a head of their own.</param>
    /// <param name="change">What else config.json shall say.</param>
    public GenAIFolder(string kind, Action<JsonObject>? change = null)
    {
        string bundled = FindBundled();
        foreach (string file in Directory.GetFiles(bundled))
        {
            File.Copy(file, Path.Combine(Folder, Path.GetFileName(file)));
        }

        JsonObject config = JsonNode.Parse(File.ReadAllText(Path.Combine(bundled, "config.json")))!.AsObject();
        if (kind != "llama-tied")
        {
            config["tie_word_embeddings"] = false;
            WriteUntied(Path.Combine(bundled, Weights));
        }

        if (kind == "mistral")
        {
            (config["model_type"], config["architectures"]) = ("mistral", new JsonArray("MistralForCausalLM"));
            config["sliding_window"] = null;
        }

        change?.Invoke(config);
        File.WriteAllText(Path.Combine(Folder, "config.json"), config.ToJsonString());
    }

    public string Folder => _folder.FullName;

    /// <summary>A folder that is not there yet.</summary>
    public string New(string name) => Path.Combine(Folder, name);

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>A head that is not the embedding, as a model without tied weights has it.</summary>
    private void WriteUntied(string bundled)
    {
        using var scope = NewDisposeScope();
        using Checkpoint checkpoint = Checkpoint.OpenFile(bundled);
        Tensor embedding = checkpoint.Tensors[Embedding].to(ScalarType.Float32);
        Tensor head = (embedding * 0.9).to(checkpoint.StoredType);
        using FileStream file = File.Create(Path.Combine(Folder, Weights));
        KeyValuePair<string, Tensor>[] tensors =
        [
            .. checkpoint.Tensors.Append(KeyValuePair.Create("lm_head.weight", head)).OrderBy(named => named.Key, StringComparer.Ordinal),
        ];
        CheckpointWriter.Write(file, tensors, checkpoint.StoredType);
    }

    private static string FindBundled()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Sorsa.MLNet.sln")))
        {
            folder = folder.Parent;
        }

        return Path.Combine(folder!.FullName, "samples", "models", "tiny-llama-math");
    }
}
