using System.Text.Json;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>A folder of our own with an adapter in it: adapter.json says what it is, adapter.safetensors holds PROJECTION.TENSOR.</summary>
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
            from tensor in named.Value.OrderBy(tensor => tensor.Key, StringComparer.Ordinal)
            select KeyValuePair.Create($"{named.Key}.{tensor.Key}", tensor.Value);
        var config = new
        {
            format = Format,
            version = Version,
            method = weights.Method.Name,
            rank = weights.Rank,
            scale = weights.Scale,
            quantized = weights.IsQuantized,
            target_modules = weights.TargetModules,
            base_fingerprint = weights.BaseFingerprint,
        };
        Write(folder, ConfigFile, config, WeightsFile, [.. tensors]);
    }

    /// <summary>Writes a folder of a configuration and float32 tensors; it appears when both are written.</summary>
    public static void Write(
        string folder, string configFile, object config, string weightsFile, IReadOnlyCollection<KeyValuePair<string, Tensor>> tensors)
    {
        using var target = new NewFolder(folder, nameof(folder));
        target.WriteFile(weightsFile, stream => CheckpointWriter.Write(stream, tensors, ScalarType.Float32));
        target.WriteFile(configFile, stream => JsonSerializer.Serialize(stream, config, s_indented));
        target.Commit();
    }

    /// <exception cref="InvalidDataException">A file is corrupt, or of another format.</exception>
    public static AdapterWeights Read(string folder)
    {
        string path = Path.Combine(folder, ConfigFile);
        JsonReader config = JsonReader.Parse(path, File.ReadAllBytes(path));
        string format = config.TextOf("format");
        int version = config.Positive("version");
        if (format != Format || version != Version)
        {
            throw config.Bad($"its format is '{format}', version {version}, and this library reads '{Format}', version {Version}");
        }

        string name = config.TextOf("method");
        MethodDescriptor method = MethodCatalog.FindSaved(name) ?? throw config.Bad(
            $"its method is '{name}', and the methods that are known are "
            + string.Join(", ", MethodCatalog.Saved.Select(method => method.Name).Order(StringComparer.Ordinal)));
        return new AdapterWeights(
            method, config.NumberOf("scale"), config.FlagOf("quantized"), config.TextOf("base_fingerprint"),
            ReadTensors(Path.Combine(folder, WeightsFile), bareName: full => full));
    }

    /// <summary>A file's tensors, copied into memory, by projection and by what stands behind its name's last dot.</summary>
    /// <param name="path">The safetensors file.</param>
    /// <param name="bareName">A name without what the format puts around it.</param>
    /// <exception cref="InvalidDataException">Two names are the same tensor of the same projection.</exception>
    public static SortedDictionary<string, IReadOnlyDictionary<string, Tensor>> ReadTensors(string path, Func<string, string> bareName)
    {
        using Checkpoint checkpoint = Checkpoint.OpenFile(path);
        if (checkpoint.Names.CountBy(Split).FirstOrDefault(named => named.Value > 1) is { Value: > 1 } twice)
        {
            throw new InvalidDataException(
                $"'{path}' holds {twice.Key.Tensor} of '{twice.Key.Path}' more than once. Write the adapter again.");
        }

        var tensors = new SortedDictionary<string, IReadOnlyDictionary<string, Tensor>>(StringComparer.Ordinal);
        foreach (IGrouping<string, string> projection in checkpoint.Names.GroupBy(name => Split(name).Path, StringComparer.Ordinal))
        {
            tensors[projection.Key] = projection.ToDictionary(
                name => Split(name).Tensor, name => checkpoint.Tensors[name].clone().DetachFromDisposeScope(), StringComparer.Ordinal);
        }

        return tensors;

        (string Path, string Tensor) Split(string name)
        {
            string bare = bareName(name);
            int dot = bare.LastIndexOf('.');
            return dot < 0 ? (bare, "") : (bare[..dot], bare[(dot + 1)..]);
        }
    }
}
