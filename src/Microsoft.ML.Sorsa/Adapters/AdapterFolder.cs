using System.Text.Json;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>A folder of our own with an adapter in it: adapter.json says what it is, adapter.safetensors holds its tensors under PROJECTION.PART.</summary>
internal static class AdapterFolder
{
    public const string ConfigFile = "adapter.json";

    private const string WeightsFile = "adapter.safetensors";
    private const string Format = "Microsoft.ML.Sorsa adapter";
    private const int Version = 1;

    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    /// <param name="weights">The adapter.</param>
    /// <param name="folder">A new folder, or an empty one; it appears when everything in it is written.</param>
    public static void Write(AdapterWeights weights, string folder)
    {
        using var target = new NewFolder(folder, nameof(folder));
        byte[] config = JsonSerializer.SerializeToUtf8Bytes(
            new
            {
                format = Format,
                version = Version,
                method = weights.Method,
                rank = weights.Rank,
                scale = weights.Scale,
                quantized = weights.IsQuantized,
                target_modules = weights.TargetModules,
                base_fingerprint = weights.BaseFingerprint,
            },
            s_indented);
        File.WriteAllBytes(Path.Combine(target.TemporaryPath, ConfigFile), config);
        using (FileStream stream = File.Create(Path.Combine(target.TemporaryPath, WeightsFile)))
        {
            CheckpointWriter.Write(
                stream, [.. weights.Tensors.SelectMany(named => named.Value.OrderBy(part => part.Key, StringComparer.Ordinal).Select(part => KeyValuePair.Create($"{named.Key}.{part.Key}", part.Value)))], ScalarType.Float32);
        }

        target.Commit();
    }

    /// <exception cref="InvalidDataException">A file is corrupt, or of another format.</exception>
    public static AdapterWeights Read(string folder)
    {
        string path = Path.Combine(folder, ConfigFile);
        using ConfigReader config = new(File.ReadAllBytes(path), path);
        string format = config.Text("format");
        int version = config.Positive("version");
        if (format != Format || version != Version)
        {
            throw config.Bad($"its format is '{format}', version {version}, and this library reads '{Format}', version {Version}");
        }

        string method = config.Text("method");
        if (!AdapterParts.Methods.Contains(method))
        {
            throw config.Bad($"its method is '{method}', and the methods that are known are {string.Join(", ", AdapterParts.Methods)}");
        }

        return new AdapterWeights(
            method, config.Number("scale"), config.Flag("quantized"), config.Text("base_fingerprint"), Take(Path.Combine(folder, WeightsFile), name => name.LastIndexOf('.')));
    }

    /// <summary>Takes a file's tensors, copied into memory, by projection and part.</summary>
    /// <param name="path">The safetensors file.</param>
    /// <param name="dot">Where a name's part begins, at the dot before it.</param>
    public static SortedDictionary<string, IReadOnlyDictionary<string, Tensor>> Take(string path, Func<string, int> dot)
    {
        using Checkpoint checkpoint = Checkpoint.OpenFile(path);
        var tensors = new SortedDictionary<string, IReadOnlyDictionary<string, Tensor>>(StringComparer.Ordinal);
        foreach (IGrouping<string, string> projection in checkpoint.Names.GroupBy(name => name[..Math.Max(0, dot(name))], StringComparer.Ordinal))
        {
            tensors[projection.Key] = projection.ToDictionary(
                name => name[(dot(name) + 1)..], name => checkpoint.Tensors[name].clone().DetachFromDisposeScope(), StringComparer.Ordinal);
        }

        return tensors;
    }
}
