using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>
/// The tensors of a checkpoint by their Hugging Face names. Those of a folder are mapped files, one copy on disk and none in
/// memory; those of a stream are read once, in the order of the stream.
/// </summary>
internal sealed class Checkpoint : IDisposable
{
    /// <summary>The one file of a checkpoint without shards.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>Says which of a checkpoint's shards holds which tensor.</summary>
    public const string IndexFile = "model.safetensors.index.json";

    private readonly SortedDictionary<string, Tensor> _tensors = new(StringComparer.Ordinal);
    private readonly string _source;

    private Checkpoint(string source) => _source = source;

    public IReadOnlyCollection<string> Names => _tensors.Keys;

    /// <summary>The tensors that are left; the checkpoint owns them.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors => _tensors;

    /// <summary>The type of the largest tensor: what the checkpoint is stored in.</summary>
    public ScalarType StoredType => _tensors.Values.MaxBy(tensor => tensor.numel() * tensor.element_size())?.dtype ?? ScalarType.Float32;

    /// <summary>Maps model.safetensors, or the shards that model.safetensors.index.json names.</summary>
    /// <exception cref="DirectoryNotFoundException">The folder is not there.</exception>
    /// <exception cref="FileNotFoundException">It holds neither file, or a shard is missing.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the index and the shards disagree.</exception>
    public static Checkpoint OpenFolder(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException(
                $"The model folder '{folder}' does not exist. Name a folder in the Hugging Face layout (config.json, " +
                $"{SingleFile}, tokenizer.json).");
        }

        var checkpoint = new Checkpoint(folder);
        try
        {
            if (File.Exists(Path.Combine(folder, SingleFile)))
            {
                checkpoint.MapFile(Path.Combine(folder, SingleFile));
            }
            else if (File.Exists(Path.Combine(folder, IndexFile)))
            {
                checkpoint.MapShards(folder);
            }
            else
            {
                throw new FileNotFoundException(
                    $"The model folder '{folder}' has neither {SingleFile} nor {IndexFile}. Older checkpoints (pytorch_model.bin) are " +
                    "pickled programs and are not read: save the model as safetensors first.");
            }

            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Maps one safetensors file of any name.</summary>
    public static Checkpoint OpenFile(string path)
    {
        var checkpoint = new Checkpoint(path);
        try
        {
            checkpoint.MapFile(path);
            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Tensors that somebody else owns, as a checkpoint: where type and device are theirs, what is taken out of it is the same memory.
    /// </summary>
    /// <param name="tensors">By their Hugging Face names; not disposed of.</param>
    /// <param name="source">What errors call them.</param>
    public static Checkpoint Over(IEnumerable<KeyValuePair<string, Tensor>> tensors, string source)
    {
        using var noGrad = no_grad();
        var checkpoint = new Checkpoint(source);
        foreach ((string name, Tensor tensor) in tensors)
        {
            checkpoint._tensors.Add(name, tensor.detach().DetachFromDisposeScope());
        }

        return checkpoint;
    }

    /// <summary>Reads a safetensors file from a stream of <paramref name="length"/> bytes, front to back.</summary>
    public static Checkpoint Read(Stream stream, long length, string source)
    {
        var checkpoint = new Checkpoint(source);
        try
        {
            SafetensorsHeader header = SafetensorsHeader.Read(stream, length, source);
            foreach (SafetensorsEntry entry in header.Entries)
            {
                Tensor tensor = torch.empty(entry.Shape, entry.Type).DetachFromDisposeScope();
                checkpoint._tensors.Add(entry.Name, tensor);
                if (entry.Length > 0)
                {
                    tensor.ReadBytesFromStream(stream, bufferSize: 1 << 20);
                }
            }

            return checkpoint;
        }
        catch (EndOfStreamException e)
        {
            checkpoint.Dispose();
            throw new InvalidDataException($"'{source}' is cut short.", e);
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Lists every missing, unexpected and misshapen tensor in one error.</summary>
    /// <exception cref="InvalidDataException">The names and shapes are not those expected.</exception>
    public void Verify(IReadOnlyDictionary<string, long[]> expected, Func<string, bool> ignored)
    {
        var faults = new List<string>();
        foreach ((string name, long[] shape) in expected.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            if (!_tensors.TryGetValue(name, out Tensor? tensor))
            {
                faults.Add($"missing: {name} {Text(shape)}");
            }
            else if (!tensor.shape.SequenceEqual(shape))
            {
                faults.Add($"misshapen: {name} is {Text(tensor.shape)} and the configuration asks for {Text(shape)}");
            }
            else if (!tensor.is_floating_point())
            {
                faults.Add($"mistyped: {name} is {tensor.dtype}, and weights are F64, F32, F16 or BF16");
            }
        }

        faults.AddRange(_tensors.Keys
            .Where(name => !expected.ContainsKey(name) && !ignored(name))
            .Select(name => $"unexpected: {name} {Text(_tensors[name].shape)}"));
        if (faults.Count > 0)
        {
            throw new InvalidDataException(
                $"The tensors in '{_source}' are not those of its configuration:{Environment.NewLine}  " +
                $"{string.Join(Environment.NewLine + "  ", faults)}");
        }
    }

    /// <summary>
    /// A SHA-256 over each stored tensor's name, type, shape and bytes: all of them up to 2,048 values, of larger ones 64 evenly spaced
    /// pieces. Training moves every value a little, so that a fine-tuned model never has the hash of its base.
    /// </summary>
    /// <param name="names">Which tensors, in any order.</param>
    public string Fingerprint(IEnumerable<string> names)
    {
        const int Pieces = 64;
        const int PieceLength = 32;
        using DisposeScope scope = NewDisposeScope();
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string name in names.Order(StringComparer.Ordinal))
        {
            Tensor tensor = _tensors[name];
            hash.AppendData(Encoding.UTF8.GetBytes($"{name} {tensor.dtype} {Text(tensor.shape)}"));
            Tensor values = tensor.view(-1);
            long count = values.numel();
            if (count <= Pieces * PieceLength)
            {
                hash.AppendData(count == 0 ? [] : values.cpu().bytes);
                continue;
            }

            for (int piece = 0; piece < Pieces; piece++)
            {
                using Tensor part = values.narrow(0, (count - PieceLength) * piece / (Pieces - 1), PieceLength);
                using Tensor copy = part.clone();
                hash.AppendData(copy.bytes);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Hands a tensor over, converted if need be: the caller owns it from now on.</summary>
    public Tensor Take(string name, ScalarType type, Device device)
    {
        Tensor stored = _tensors[name];
        _tensors.Remove(name);
        if (stored.dtype == type && stored.device == device)
        {
            return stored;
        }

        using (stored)
        {
            return stored.to(type, device).DetachFromDisposeScope();
        }
    }

    public void Dispose()
    {
        foreach (Tensor tensor in _tensors.Values)
        {
            tensor.Dispose();
        }

        _tensors.Clear();
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape.Select(size => size.ToString(CultureInfo.InvariantCulture)))}]";

    private void MapFile(string path)
    {
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"'{path}' does not exist.", path);
        }

        SafetensorsHeader header;
        using (FileStream stream = File.OpenRead(path))
        {
            header = SafetensorsHeader.Read(stream, stream.Length, path);
        }

        if (header.Entries.Count == 0)
        {
            return;
        }

        using var map = new MappedFile(path);
        foreach (SafetensorsEntry entry in header.Entries)
        {
            if (_tensors.ContainsKey(entry.Name))
            {
                throw new InvalidDataException(
                    $"Tensor '{entry.Name}' is in more than one file of '{_source}'. Keep the files of one save only.");
            }

            _tensors.Add(entry.Name, map.Tensor(header.DataOffset + entry.Begin, entry.Type, entry.Shape).DetachFromDisposeScope());
        }
    }

    private void MapShards(string folder)
    {
        string index = Path.Combine(folder, IndexFile);
        SortedDictionary<string, string> weightMap = ReadWeightMap(index);
        foreach (string shard in weightMap.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            if (Path.GetFileName(shard) != shard || shard is "" or "." or ".." || shard.Contains('\\', StringComparison.Ordinal))
            {
                throw new InvalidDataException(
                    $"'{index}' names the file '{shard}', which is not a plain file name: no file outside the model's folder is opened.");
            }

            string path = Path.Combine(folder, shard);
            if (!File.Exists(path))
            {
                throw new FileNotFoundException($"'{index}' names the shard '{shard}', which is not there. Fetch it again.", path);
            }

            MapFile(path);
        }

        if (weightMap.Keys.FirstOrDefault(name => !_tensors.ContainsKey(name)) is { } absent)
        {
            throw new InvalidDataException(
                $"'{index}' says that '{weightMap[absent]}' holds '{absent}', and it does not. The shards are not those of this index.");
        }
    }

    private static SortedDictionary<string, string> ReadWeightMap(string index)
    {
        var map = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach ((string name, JsonReader shard) in JsonReader.Parse(index, File.ReadAllBytes(index))["weight_map"].Members)
        {
            map[name] = shard.Text;
        }

        return map;
    }
}
