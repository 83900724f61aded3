using System.Text.Json;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
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
        IEnumerable<KeyValuePair<string, Tensor>> tensors =
            from named in weights.Tensors
            from part in named.Value.OrderBy(part => part.Key, StringComparer.Ordinal)
            select KeyValuePair.Create($"{named.Key}.{part.Key}", part.Value);
        var config = new
        {
            format = Format,
            version = Version,
            method = weights.Method,
            rank = weights.Rank,
            scale = weights.Scale,
            quantized = weights.IsQuantized,
            target_modules = weights.TargetModules,
            base_fingerprint = weights.BaseFingerprint,
        };
        Write(folder, ConfigFile, config, WeightsFile, [.. tensors]);
    }

    /// <summary>Writes a folder of a configuration and float32 tensors; it appears when both are written.</summary>
    public static void Write(string folder, string configFile, object config, string weightsFile, IReadOnlyCollection<KeyValuePair<string, Tensor>> tensors)
    {
        using var target = new NewFolder(folder, nameof(folder));
        File.WriteAllBytes(Path.Combine(target.TemporaryPath, configFile), JsonSerializer.SerializeToUtf8Bytes(config, s_indented));
        using (FileStream stream = File.Create(Path.Combine(target.TemporaryPath, weightsFile)))
        {
            CheckpointWriter.Write(stream, tensors, ScalarType.Float32);
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
            method, config.Number("scale"), config.Flag("quantized"), config.Text("base_fingerprint"), Take(Path.Combine(folder, WeightsFile), Split));

        static (string Path, string Part) Split(string name) => name.LastIndexOf('.') is var dot and >= 0 ? (name[..dot], name[(dot + 1)..]) : (name, "");
    }

    /// <summary>Takes a file's tensors, copied into memory, by projection and part.</summary>
    /// <param name="path">The safetensors file.</param>
    /// <param name="split">A name's projection and part.</param>
    /// <exception cref="InvalidDataException">Two names are the same part of the same projection.</exception>
    public static SortedDictionary<string, IReadOnlyDictionary<string, Tensor>> Take(string path, Func<string, (string Path, string Part)> split)
    {
        using Checkpoint checkpoint = Checkpoint.OpenFile(path);
        if (checkpoint.Names.CountBy(split).FirstOrDefault(named => named.Value > 1) is { Value: > 1 } twice)
        {
            throw new InvalidDataException($"'{path}' holds {twice.Key.Part} of '{twice.Key.Path}' more than once. Write the adapter again.");
        }

        var tensors = new SortedDictionary<string, IReadOnlyDictionary<string, Tensor>>(StringComparer.Ordinal);
        foreach (IGrouping<string, string> projection in checkpoint.Names.GroupBy(name => split(name).Path, StringComparer.Ordinal))
        {
            tensors[projection.Key] = projection.ToDictionary(name => split(name).Part, name => checkpoint.Tensors[name].clone().DetachFromDisposeScope(), StringComparer.Ordinal);
        }

        return tensors;
    }
}
