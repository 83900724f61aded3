using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.LLamaSharp.Tests;

/// <summary>Folders of models for the tests: those that lie about, with what they lack.</summary>
internal static class ModelFolders
{
    /// <summary>A golden model, which has no tokenizer, with one of 96 tokens: byte-level, each printable character a token.</summary>
    public static string Golden(string name, string into)
    {
        string source = TestData.Require(TestData.Golden("models", name));
        foreach (string file in Directory.GetFiles(source))
        {
            File.Copy(file, Path.Combine(into, Path.GetFileName(file)));
        }

        string[] special = ["<unk>", "<s>", "</s>"];
        string[] tokens = [.. special, "\u0120", .. Enumerable.Range('!', 92).Select(code => ((char)code).ToString())];
        var json = new
        {
            version = "1.0",
            added_tokens = special.Select((content, id) => new
            {
                id,
                content,
                single_word = false,
                lstrip = false,
                rstrip = false,
                normalized = false,
                special = true,
            }),
            pre_tokenizer = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = true },
            decoder = new { type = "ByteLevel", add_prefix_space = true, trim_offsets = true, use_regex = true },
            model = new
            {
                type = "BPE",
                vocab = tokens.Select((token, id) => (token, id)).ToDictionary(pair => pair.token, pair => pair.id),
                merges = Array.Empty<string>(),
            },
        };
        File.WriteAllText(Path.Combine(into, "tokenizer.json"), JsonSerializer.Serialize(json));
        File.WriteAllText(
            Path.Combine(into, "tokenizer_config.json"), """{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}""");
        return into;
    }

    /// <summary>A tokenizer's files beside a model of one small layer that has a row for each of its tokens.</summary>
    public static string WithTokenizer(string tokenizer, string[] files, int rows, string into, Action<JsonObject>? change = null)
    {
        foreach (string file in files)
        {
            File.Copy(TestData.Require(Path.Combine(tokenizer, file)), Path.Combine(into, file));
        }

        if (change is not null)
        {
            string path = Path.Combine(into, "tokenizer.json");
            JsonObject json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
            change(json);
            File.Delete(path);
            File.WriteAllText(path, json.ToJsonString());
        }

        var config = new JsonObject
        {
            ["model_type"] = "llama",
            ["vocab_size"] = rows,
            ["hidden_size"] = 32,
            ["intermediate_size"] = 64,
            ["num_hidden_layers"] = 1,
            ["num_attention_heads"] = 2,
            ["max_position_embeddings"] = 2048,
            ["tie_word_embeddings"] = true,
        };
        File.WriteAllText(Path.Combine(into, "config.json"), config.ToJsonString());
        using DisposeScope scope = NewDisposeScope();
        manual_seed(0);
        DecoderLayout layout = CausalLM.Layout(DecoderConfig.Load(into).Spec);
        using FileStream weights = File.Create(Path.Combine(into, "model.safetensors"));
        CheckpointWriter.Write(
            weights, [.. layout.Tensors.Select(tensor => KeyValuePair.Create(tensor.Key, randn(tensor.Value) * 0.02))], ScalarType.Float32);
        return into;
    }
}
