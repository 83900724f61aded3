using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Files;

/// <summary>
/// A folder of our own with an adapter in it: adapter.json says what it is, adapter.safetensors holds PROJECTION.TENSOR. A checksum in
/// adapter.json is over both; it finds damage and edits, not forgery.
/// </summary>
internal static class AdapterFolder
{
    public const string ConfigFile = "adapter.json";

    public const string WeightsFile = "adapter.safetensors";

    private const string Format = "Microsoft.ML.Sorsa adapter";
    private const string Checksum = "checksum";

    /// <summary>1, which version 0.1 of the library wrote, has no checksum.</summary>
    private const int Version = 2;

    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    /// <param name="weights">The adapter.</param>
    /// <param name="folder">A new folder, or an empty one; it appears when everything in it is written.</param>
    /// <param name="card">README.md; null: none.</param>
    public static void Write(AdapterWeights weights, string folder, byte[]? card = null)
    {
        using var target = new NewFolder(folder, nameof(folder));
        WriteCard(target, card);
        WriteFiles(weights, target.WriteFile);
        target.Commit();
    }

    /// <summary>The same into a folder that holds more.</summary>
    /// <param name="weights">The adapter.</param>
    /// <param name="writeFile">Writes one file by its name.</param>
    public static void WriteFiles(AdapterWeights weights, Action<string, Action<Stream>> writeFile)
    {
        IEnumerable<KeyValuePair<string, Tensor>> tensors =
            from named in weights.Tensors
            from tensor in named.Value.OrderBy(tensor => tensor.Key, StringComparer.Ordinal)
            select KeyValuePair.Create($"{named.Key}.{tensor.Key}", tensor.Value);
        string fingerprint = weights.BaseFingerprint
            ?? throw new InvalidOperationException("An adapter without a known base cannot be written.");
        var content = new Content(
            Version, weights.Method.Name, weights.Rank, weights.Scale, weights.IsQuantized, weights.TargetModules, fingerprint);
        string hash = WriteTensors(writeFile, WeightsFile, [.. tensors]);
        var config = new
        {
            format = Format,
            version = content.Version,
            method = content.Method,
            rank = content.Rank,
            scale = content.Scale,
            quantized = content.Quantized,
            target_modules = content.TargetModules,
            base_fingerprint = content.BaseFingerprint,
            checksum = content.ChecksumWith(hash),
        };
        WriteConfig(writeFile, ConfigFile, config);
    }

    /// <summary>The tensors of a folder that is an adapter, mapped; null where it is none.</summary>
    public static Checkpoint? OpenTensors(string folder) =>
        Path.Combine(folder, WeightsFile) is var path && File.Exists(path) ? Checkpoint.OpenFile(path) : null;

    /// <summary>Writes float32 tensors as safetensors, and gives the file's hash.</summary>
    public static string WriteTensors(
        Action<string, Action<Stream>> writeFile, string name, IReadOnlyCollection<KeyValuePair<string, Tensor>> tensors)
    {
        string hash = "";
        writeFile(name, stream =>
        {
            using var hashed = new HashedStream(stream);
            CheckpointWriter.Write(hashed, tensors, ScalarType.Float32);
            hash = hashed.Hash;
        });
        return hash;
    }

    /// <summary>Writes README.md, if there is one.</summary>
    public static void WriteCard(NewFolder target, byte[]? card)
    {
        if (card is not null)
        {
            target.WriteFile(ModelLicense.CardFile, stream => stream.Write(card));
        }
    }

    /// <summary>Writes what says what the tensors are.</summary>
    public static void WriteConfig(Action<string, Action<Stream>> writeFile, string name, object config) =>
        writeFile(name, stream => JsonSerializer.Serialize(stream, config, s_indented));

    /// <exception cref="InvalidDataException">A file is corrupt or was altered, or is of another format.</exception>
    public static AdapterWeights Read(string folder)
    {
        string path = Path.Combine(folder, ConfigFile), tensors = Path.Combine(folder, WeightsFile);
        JsonReader config = JsonReader.Read(path);
        string format = config.TextOf("format");
        int version = config.Positive("version");
        if (format != Format || version > Version)
        {
            throw config.Bad($"its format is '{format}', version {version}, and this library reads '{Format}', up to version {Version}");
        }

        var content = new Content(
            version, config.TextOf("method"), config.Positive("rank"), config.NumberOf("scale"), config.FlagOf("quantized"),
            [.. config["target_modules"].Items.Select(name => name.Text)], config.TextOf("base_fingerprint"));
        MethodDescriptor method = MethodCatalog.FindSaved(content.Method) ?? throw config.Bad(
            $"its method is '{content.Method}', and the methods that are known are "
            + string.Join(", ", MethodCatalog.Saved.Select(method => method.Name).Order(StringComparer.Ordinal)));
        if (version > 1 || config.Has(Checksum))
        {
            VerifyChecksum(config, content, path, tensors);
        }

        var read = new AdapterWeights(
            method, content.Scale, content.Quantized, content.BaseFingerprint, AdapterTensorFile.Read(tensors, Places));
        return read with
        {
            StatedRank = content.Rank,

            // The file does not say; a decomposition that was kept at a larger rank was randomised for larger matrices alone.
            StartIsRandomized = read.Tensors.Values.Any(projection => TruncatedSvd.IsRandomizedCheaper(
                Math.Min(method.SizeOf(Axis.Out, projection), method.SizeOf(Axis.In, projection)), content.Rank)),
            Targets = projection => content.TargetModules.Contains(LastName(projection), StringComparer.Ordinal),
        };
    }

    private static void VerifyChecksum(JsonReader config, Content content, string path, string tensors)
    {
        string stated = config.TextOf(Checksum);

        // A file that is something else altogether is called by its name.
        Checkpoint.OpenFile(tensors).Dispose();
        using FileStream stream = File.OpenRead(tensors);
        if (content.ChecksumWith(Convert.ToHexStringLower(SHA256.HashData(stream))) != stated)
        {
            throw new InvalidDataException(
                $"'{path}' and {WeightsFile} beside it are not as they were written: their checksum is not '{NameList.Short(stated)}'. "
                + "One of them is damaged, was edited, or belongs to another adapter. Copy both again.");
        }
    }

    /// <summary>A name is PROJECTION.TENSOR.</summary>
    private static IEnumerable<(string Name, string Projection, string Tensor)> Places(IEnumerable<string> names) =>
        names.Select(name => (name, name[..Math.Max(0, name.LastIndexOf('.'))], LastName(name)));

    private static string LastName(string name) => name[(name.LastIndexOf('.') + 1)..];

    /// <summary>What adapter.json says, but for its checksum.</summary>
    private sealed record Content(
        int Version, string Method, int Rank, double Scale, bool Quantized, IReadOnlyList<string> TargetModules, string BaseFingerprint)
    {
        /// <summary>A hash over all of it and the hash of the tensors' file.</summary>
        public string ChecksumWith(string tensorsHash)
        {
            string text = string.Create(CultureInfo.InvariantCulture,
                $"{Format}\n{Version}\n{Method}\n{Rank}\n{Scale:R}\n{Quantized}\n{string.Join(',', TargetModules)}\n{BaseFingerprint}\n")
                + tensorsHash;
            return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        }
    }
}
