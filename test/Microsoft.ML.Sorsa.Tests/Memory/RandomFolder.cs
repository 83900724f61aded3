using System.Globalization;
using System.Text;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Memory;

/// <summary>Sizes of a model for tests.</summary>
internal sealed record RandomSizes(
    int Hidden, int Intermediate, int Layers, int Heads, int KeyValueHeads, int Vocabulary, bool Tied = true, int? Window = null)
{
    /// <summary>Llama 2 7B.</summary>
    public static RandomSizes Llama2_7B { get; } = new(4096, 11008, 32, 32, 32, 32000, Tied: false);

    public DecoderConfig Config => DecoderConfig.Parse(Encoding.UTF8.GetBytes(Json), ModelFolder.ConfigFile);

    public string Json => string.Create(CultureInfo.InvariantCulture, $$"""
        {"model_type": "{{(Window is null ? "llama" : "mistral")}}", "vocab_size": {{Vocabulary}}, "hidden_size": {{Hidden}},
         "intermediate_size": {{Intermediate}}, "num_hidden_layers": {{Layers}}, "num_attention_heads": {{Heads}},
         "num_key_value_heads": {{KeyValueHeads}}, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "eos_token_id": 2,
         "sliding_window": {{(Window is { } tokens ? tokens.ToString(CultureInfo.InvariantCulture) : "null")}},
         "tie_word_embeddings": {{(Tied ? "true" : "false")}}}
        """);
}

/// <summary>Folders of models of any sizes, with the bundled model's tokenizer.</summary>
internal static class RandomFolder
{
    /// <summary>Writes one with random weights in bfloat16.</summary>
    public static string Write(string folder, RandomSizes sizes, ScalarType type = ScalarType.BFloat16)
    {
        WriteWithoutWeights(folder, sizes);
        using var scope = NewDisposeScope();
        using var generator = new Generator(17);
        KeyValuePair<string, Tensor>[] weights = [.. CausalLM.Layout(sizes.Config.Spec).Tensors.Select(named => KeyValuePair.Create(
            named.Key,
            randn(named.Value, ScalarType.Float32, generator: generator).Scale(0.02)
                .Shift(named.Key.EndsWith("norm.weight", StringComparison.Ordinal) ? 1.0 : 0.0)))];
        using FileStream file = File.Create(Path.Combine(folder, Checkpoint.SingleFile));
        CheckpointWriter.Write(file, weights, type);
        return folder;
    }

    /// <summary>Writes one whose weights are a hole in a file: headers and nothing behind them.</summary>
    public static string WriteHollow(string folder, RandomSizes sizes)
    {
        WriteWithoutWeights(folder, sizes);
        var header = new StringBuilder("{");
        long at = 0;
        foreach ((string name, long[] shape) in CausalLM.Layout(sizes.Config.Spec).Tensors)
        {
            long end = at + (shape.Aggregate(2L, (product, size) => product * size));
            header.Append(CultureInfo.InvariantCulture, $"{(at == 0 ? "" : ",")}\"{name}\":{{\"dtype\":\"BF16\",");
            header.Append(CultureInfo.InvariantCulture, $"\"shape\":[{string.Join(',', shape)}],\"data_offsets\":[{at},{end}]}}");
            at = end;
        }

        byte[] json = Encoding.UTF8.GetBytes(header.Append('}').ToString());
        using FileStream file = File.Create(Path.Combine(folder, Checkpoint.SingleFile));
        file.Write(BitConverter.GetBytes((long)json.Length));
        file.Write(json);
        file.SetLength(file.Position + at);
        return folder;
    }

    /// <summary>Writes config.json and the tokenizer alone.</summary>
    public static void WriteWithoutWeights(string folder, RandomSizes sizes)
    {
        Directory.CreateDirectory(folder);
        foreach (string name in new[] { "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json" })
        {
            File.Copy(Path.Combine(TestData.TinyLlama, name), Path.Combine(folder, name));
        }

        File.WriteAllText(Path.Combine(folder, ModelFolder.ConfigFile), sizes.Json);
    }
}
