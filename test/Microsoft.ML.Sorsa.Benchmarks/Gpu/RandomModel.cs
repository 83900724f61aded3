using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks.Gpu;

/// <summary>
/// A Llama of random weights in a folder, in bfloat16, for steps that are timed: <c>gpu-model FOLDER [--layers 32] [--hidden 4096]
/// [--intermediate 11008] [--heads 32] [--vocabulary 32000] [--device cpu]</c>, by default in the shape of Llama 2 7B. A shard is written
/// for each layer, so that no more than one is in memory.
/// </summary>
internal static class RandomModel
{
    private const double Deviation = 0.02;

    public static void Run(string[] args)
    {
        var arguments = new Arguments(
            args, ["folder"], "layers=", "hidden=", "intermediate=", "heads=", "vocabulary=", Arguments.DeviceOption);
        string folder = arguments.Text("folder") ?? throw new ArgumentException("Name the folder to write: gpu-model FOLDER.");
        Write(
            folder, arguments.Number("layers", 32), arguments.Number("hidden", 4096), arguments.Number("intermediate", 11008),
            arguments.Number("heads", 32), arguments.Number("vocabulary", 32000), arguments.Device);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{folder}: {Directory.GetFiles(folder).Sum(file => new FileInfo(file).Length) / 1e9:F2} GB"));
    }

    /// <summary>Writes one, into a new folder; the weights are drawn on the device.</summary>
    public static void Write(string folder, int layers, int hidden, int intermediate, int heads, int vocabulary, Device device)
    {
        string config = JsonSerializer.Serialize(new
        {
            model_type = "llama",
            vocab_size = vocabulary,
            hidden_size = hidden,
            intermediate_size = intermediate,
            num_hidden_layers = layers,
            num_attention_heads = heads,
            num_key_value_heads = heads,
            max_position_embeddings = 4096,
            rms_norm_eps = 1e-5,
            rope_theta = 10000.0,
            hidden_act = "silu",
            tie_word_embeddings = false,
            bos_token_id = 1,
            eos_token_id = 2,
            torch_dtype = "bfloat16",
        });
        DecoderSpec spec = DecoderConfig.Parse(Encoding.UTF8.GetBytes(config), "config.json").Spec;
        var files = new SortedDictionary<string, string>(StringComparer.Ordinal);
        using var target = new NewFolder(folder, "folder");
        manual_seed(0);
        foreach (IGrouping<string, KeyValuePair<string, long[]>> shard in CausalLM.Layout(spec).Tensors.GroupBy(named => FileOf(named.Key)))
        {
            using var scope = NewDisposeScope();
            KeyValuePair<string, Tensor>[] tensors =
                [.. shard.Select(named => KeyValuePair.Create(named.Key, Draw(named.Value, device)))];
            target.WriteFile(shard.Key, stream => CheckpointWriter.Write(stream, tensors, ScalarType.BFloat16));
            Array.ForEach(tensors, named => files[named.Key] = shard.Key);
        }

        byte[] index = JsonSerializer.SerializeToUtf8Bytes(new { weight_map = files });
        target.WriteFile(Checkpoint.IndexFile, stream => stream.Write(index));
        target.WriteFile("config.json", stream => stream.Write(Encoding.UTF8.GetBytes(config)));
        target.Commit();
    }

    private static string FileOf(string name)
    {
        string[] parts = name.Split('.');
        int layer = Array.IndexOf(parts, "layers");
        return layer < 0 ? "ends.safetensors" : $"layer-{parts[layer + 1].PadLeft(2, '0')}.safetensors";
    }

    /// <summary>Norms of ones, the others normal; a GPU draws them in seconds, and the CPU in minutes.</summary>
    private static Tensor Draw(long[] shape, Device device)
    {
        using var scope = NewDisposeScope();
        Tensor drawn = shape.Length == 1 ? ones(shape, device: device) : randn(shape, device: device).Scale(Deviation);
        return scope.MoveToOuter(drawn.to(ScalarType.BFloat16));
    }
}
