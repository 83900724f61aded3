using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Tests.Gguf;

/// <summary>Models to write as GGUF: the bundled one, and golden ones, which get its tokenizer's shape in 96 tokens.</summary>
internal static class GgufModels
{
    public static readonly MLContext Context = new();

    public static SorsaTransformer Bundled() => Context.Sorsa().LoadModel(TestData.TinyLlama);

    /// <summary>A golden model in a folder of its own.</summary>
    /// <param name="name">Which.</param>
    /// <param name="into">The folder.</param>
    /// <param name="change">Changes its config.json; null: nothing.</param>
    public static SorsaTransformer Golden(string name, string into, Action<JsonObject>? change = null)
    {
        string source = TestData.Require(TestData.Golden("models", name));
        foreach (string file in Directory.GetFiles(source))
        {
            File.Copy(file, Path.Combine(into, Path.GetFileName(file)), overwrite: true);
        }

        if (change is not null)
        {
            string path = Path.Combine(into, "config.json");
            JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
            change(config);
            File.Delete(path);
            File.WriteAllText(path, config.ToJsonString());
        }

        WriteTokenizer(into);
        return Context.Sorsa().LoadModel(into);
    }

    /// <summary>A byte-level tokenizer of 96 tokens: three special ones, and printable characters.</summary>
    public static void WriteTokenizer(string into, Action<JsonObject>? change = null)
    {
        string[] tokens = ["<unk>", "<s>", "</s>", "\u0120", .. Enumerable.Range('!', 92).Select(code => ((char)code).ToString())];
        JsonObject json = JsonNode.Parse(File.ReadAllText(Path.Combine(TestData.TinyLlama, "tokenizer.json")))!.AsObject();
        json["model"]!["vocab"] = new JsonObject(tokens.Select((token, id) => KeyValuePair.Create(token, (JsonNode?)id)));
        json["model"]!["merges"] = new JsonArray();
        json["added_tokens"] = new JsonArray([.. json["added_tokens"]!.AsArray().Take(3).Select(token => token!.DeepClone())]);
        change?.Invoke(json);
        File.WriteAllText(Path.Combine(into, "tokenizer.json"), json.ToJsonString());
        File.WriteAllText(
            Path.Combine(into, "tokenizer_config.json"), """{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}""");
    }

    /// <summary>Writes a model's file and reads it.</summary>
    public static GgufContent Write(SorsaTransformer model, GgufType type, string? preTokenizer = null)
    {
        using var folder = new TemporaryFolder();
        model.SaveGguf(folder.File("model.gguf"), type, preTokenizer);
        return GgufContent.Read(folder.File("model.gguf"));
    }

    /// <summary>A weight of the network by its checkpoint name.</summary>
    public static float[] Weight(SorsaTransformer model, string name)
    {
        CausalLM network = model.Model.Network;
        return network.NamedWeights.Single(weight => weight.Key == name).Value.data<float>().ToArray();
    }
}
