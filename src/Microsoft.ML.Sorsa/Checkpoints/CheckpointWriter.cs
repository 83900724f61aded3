using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>Writes tensors as safetensors: one file, or shards with an index where they are more than one file should hold.</summary>
internal static class CheckpointWriter
{
    /// <summary>Shards as Hugging Face writes them: 5 GB each.</summary>
    public const long DefaultShardSize = 5_000_000_000;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Writes the tensors in their order, from their device one at a time.</summary>
    /// <param name="stream">The file.</param>
    /// <param name="tensors">By name.</param>
    /// <param name="type">What they are converted to; null: each keeps its own.</param>
    public static void Write(Stream stream, IReadOnlyCollection<KeyValuePair<string, Tensor>> tensors, ScalarType? type)
    {
        stream.Write(SafetensorsHeader.Write(Layout(tensors, type)));
        foreach ((string _, Tensor tensor) in tensors)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor bytes = tensor.detach().to(type ?? tensor.dtype).cpu().contiguous();
            if (bytes.numel() > 0)
            {
                bytes.WriteBytesToStream(stream, bufferSize: 1 << 20);
            }
        }
    }

    /// <summary>
    /// Writes model.safetensors, or shards of at most <paramref name="shardSize"/> bytes and their index, into a folder.
    /// </summary>
    public static void WriteFolder(
        NewFolder folder, IReadOnlyList<KeyValuePair<string, Tensor>> tensors, ScalarType type, long shardSize = DefaultShardSize)
    {
        List<List<KeyValuePair<string, Tensor>>> shards = Split(tensors, type, shardSize);
        var index = new SortedDictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < shards.Count; i++)
        {
            string name = shards.Count == 1
                ? Checkpoint.SingleFile
                : string.Create(CultureInfo.InvariantCulture, $"model-{i + 1:D5}-of-{shards.Count:D5}.safetensors");
            List<KeyValuePair<string, Tensor>> shard = shards[i];
            folder.WriteFile(name, stream => Write(stream, shard, type));
            shard.ForEach(tensor => index[tensor.Key] = name);
        }

        if (shards.Count > 1)
        {
            long size = tensors.Sum(tensor => tensor.Value.numel() * ElementSize(type));
            byte[] json = JsonSerializer.SerializeToUtf8Bytes(
                new { metadata = new { total_size = size }, weight_map = index }, Indented);
            folder.WriteFile(Checkpoint.IndexFile, stream => stream.Write(json));
        }
    }

    private static int ElementSize(ScalarType type) => SafetensorsType.Of(type).Bits / 8;

    private static List<List<KeyValuePair<string, Tensor>>> Split(
        IReadOnlyList<KeyValuePair<string, Tensor>> tensors, ScalarType type, long shardSize)
    {
        var shards = new List<List<KeyValuePair<string, Tensor>>> { new() };
        long filled = 0;
        foreach (KeyValuePair<string, Tensor> tensor in tensors)
        {
            long size = tensor.Value.numel() * ElementSize(type);
            if (filled > 0 && filled + size > shardSize)
            {
                shards.Add([]);
                filled = 0;
            }

            shards[^1].Add(tensor);
            filled += size;
        }

        return shards;
    }

    private static SafetensorsEntry[] Layout(IReadOnlyCollection<KeyValuePair<string, Tensor>> tensors, ScalarType? type)
    {
        var entries = new SafetensorsEntry[tensors.Count];
        long at = 0;
        int i = 0;
        foreach ((string name, Tensor tensor) in tensors)
        {
            ScalarType stored = type ?? tensor.dtype;
            long end = at + tensor.numel() * ElementSize(stored);
            entries[i++] = new SafetensorsEntry(name, SafetensorsType.Of(stored), tensor.shape, at, end);
            at = end;
        }

        return entries;
    }
}
