using System.Globalization;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>
/// The tensors of a checkpoint by their Hugging Face names. Those of a folder are mapped files, one copy on disk and none in memory, or
/// are read into memory at once; those of a stream are read once, in the order of the stream.
/// </summary>
internal sealed class Checkpoint : IDisposable
{
    /// <summary>The one file of a checkpoint without shards.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>Says which of a checkpoint's shards holds which tensor.</summary>
    public const string IndexFile = "model.safetensors.index.json";

    private readonly SortedDictionary<string, Tensor> _tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SafetensorsType> _types = new(StringComparer.Ordinal);
    private readonly string _source;
    private string _prefix = "";
    private ScalarType? _commonType;

    private Checkpoint(string source) => _source = source;

    public IReadOnlyCollection<string> Names => _tensors.Keys;

    /// <summary>The tensors that are left; the checkpoint owns them.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors => _tensors;

    /// <summary>The type of the largest tensor that can be a weight: what the checkpoint is stored in.</summary>
    public ScalarType StoredType => _commonType ?? _tensors.Where(named => _types[named.Key].IsWeight).Select(named => named.Value)
        .MaxBy(tensor => tensor.numel() * tensor.element_size())?.dtype ?? ScalarType.Float32;

    /// <summary>Opens model.safetensors, or the shards that model.safetensors.index.json names.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="map">Maps the files, which must then stay as they are; else they are read now and may go.</param>
    /// <exception cref="DirectoryNotFoundException">The folder is not there.</exception>
    /// <exception cref="FileNotFoundException">It holds neither file, or a shard is missing.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the index and the shards disagree.</exception>
    public static Checkpoint OpenFolder(string folder, bool map = true)
    {
        ModelFolder.Verify(folder);
        return Open(folder, checkpoint =>
        {
            if (RegularFile.Exists(folder, SingleFile))
            {
                checkpoint.AddFile(Path.Combine(folder, SingleFile), map);
            }
            else if (RegularFile.Exists(folder, IndexFile))
            {
                checkpoint.AddShards(folder, map);
            }
            else
            {
                throw ModelFolder.WithoutWeights(folder);
            }
        });
    }

    /// <summary>Maps one safetensors file of any name.</summary>
    public static Checkpoint OpenFile(string path) => Open(path, checkpoint => checkpoint.AddFile(path, map: true));

    /// <summary>
    /// Tensors that somebody else owns, as a checkpoint: where type and device are theirs, what is taken out of it is the same memory. It
    /// is stored in what most of the values are in: the head of a GenAI Mistral is in float32, whatever type the others have.
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
            checkpoint._types.Add(name, SafetensorsType.Of(tensor.dtype));
        }

        checkpoint._commonType = checkpoint._tensors.Values.Where(tensor => tensor.is_floating_point())
            .GroupBy(tensor => tensor.dtype)
            .MaxBy(type => type.Sum(tensor => tensor.numel()))?.Key;
        return checkpoint;
    }

    /// <summary>Reads a safetensors file from a stream of <paramref name="length"/> bytes, front to back.</summary>
    public static Checkpoint Read(Stream stream, long length, string source) =>
        Open(source, checkpoint => checkpoint.AddTensors(stream, length, source));

    /// <summary>
    /// Gives the tensors the names that a model asks for, where the files' differ by what a wrapper left in them: see
    /// <see cref="TensorNames"/>.
    /// </summary>
    /// <param name="expected">The names that the model asks for.</param>
    public void Rename(IReadOnlySet<string> expected)
    {
        IReadOnlyDictionary<string, string> renamed = TensorNames.Renamed(_tensors.Keys, expected, out string prefix);
        (Tensor Tensor, SafetensorsType Type, string Name)[] moved =
            [.. renamed.Select(name => (_tensors[name.Key], _types[name.Key], name.Value))];
        foreach (string name in renamed.Keys)
        {
            _tensors.Remove(name);
            _types.Remove(name);
        }

        foreach ((Tensor tensor, SafetensorsType type, string name) in moved)
        {
            _tensors.Add(name, tensor);
            _types.Add(name, type);
        }

        _prefix = renamed.Count > 0 ? prefix : _prefix;
    }

    /// <summary>Gives one tensor another name.</summary>
    public void Rename(string name, string newName)
    {
        _tensors.Add(newName, _tensors[name]);
        _types.Add(newName, _types[name]);
        _tensors.Remove(name);
        _types.Remove(name);
    }

    /// <summary>Forgets a tensor that the model has no use for.</summary>
    public void Drop(string name)
    {
        _tensors[name].Dispose();
        _tensors.Remove(name);
    }

    /// <summary>Whether a tensor is of a type that weights can have.</summary>
    public bool IsWeight(string name) => _types[name].IsWeight;

    /// <summary>Compares names, shapes and types with what a model asks for; the error lists what differs, the first of it.</summary>
    /// <param name="expected">The shapes by name.</param>
    /// <param name="remedy">What may help, a sentence; null: nothing is known.</param>
    /// <exception cref="InvalidDataException">They are not those expected.</exception>
    public void Verify(IReadOnlyDictionary<string, long[]> expected, string? remedy = null)
    {
        var faults = new List<string>();
        foreach ((string name, long[] shape) in expected.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            if (!_tensors.TryGetValue(name, out Tensor? tensor))
            {
                faults.Add($"missing: {name} {Text(shape)}");
            }
            else if (!_types[name].IsWeight)
            {
                faults.Add($"mistyped: {name} is {_types[name].Name}, and weights are F64, F32, F16 or BF16 (quantised ones are not read: "
                    + "use the checkpoint that they were made from)");
            }
            else if (!tensor.shape.SequenceEqual(shape))
            {
                faults.Add($"misshapen: {name} is {Text(tensor.shape)} and the configuration asks for {Text(shape)}");
            }
        }

        string[] unexpected =
        [
            .. _tensors.Keys.Where(name => !expected.ContainsKey(name)).Select(name => $"unexpected: {name} {Text(_tensors[name].shape)}"),
        ];
        if (faults.Count + unexpected.Length > 0)
        {
            string read = _prefix.Length > 0 ? $" (read without the prefix '{_prefix}' of their names)" : "";
            string line = Environment.NewLine + "  ";
            throw new InvalidDataException(
                $"The tensors in '{_source}' are not those of its configuration{read}:{line}"
                + NameList.Join(NameList.InTurns(faults, unexpected), line)
                + (remedy is null ? "" : Environment.NewLine + remedy));
        }
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

    private static Checkpoint Open(string source, Action<Checkpoint> add)
    {
        var checkpoint = new Checkpoint(source);
        try
        {
            add(checkpoint);
            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    private static string Text(long[] shape) =>
        $"[{NameList.Short(string.Join(", ", shape.Select(size => size.ToString(CultureInfo.InvariantCulture))))}]";

    private void AddFile(string path, bool map)
    {
        using FileStream stream = RegularFile.OpenRead(path);
        if (!map)
        {
            AddTensors(stream, stream.Length, path);
            return;
        }

        SafetensorsHeader header = SafetensorsHeader.Read(stream, stream.Length, path);
        if (header.Entries.Count == 0)
        {
            return;
        }

        using var file = new MappedFile(path);
        foreach (SafetensorsEntry entry in header.Entries)
        {
            (ScalarType type, long[] shape) = entry.Tensor;
            Add(entry, file.Tensor(header.DataOffset + entry.Begin, type, shape));
        }
    }

    private void AddTensors(Stream stream, long length, string source)
    {
        try
        {
            foreach (SafetensorsEntry entry in SafetensorsHeader.Read(stream, length, source).Entries)
            {
                (ScalarType type, long[] shape) = entry.Tensor;
                Tensor tensor = torch.empty(shape, type);
                Add(entry, tensor);
                if (entry.Length > 0)
                {
                    tensor.ReadBytesFromStream(stream, bufferSize: 1 << 20);
                }
            }
        }
        catch (EndOfStreamException e)
        {
            throw new InvalidDataException($"'{source}' is cut short. {WrongFile.FetchAgain}.", e);
        }
    }

    private void Add(SafetensorsEntry entry, Tensor tensor)
    {
        if (!_tensors.TryAdd(entry.Name, tensor.DetachFromDisposeScope()))
        {
            tensor.Dispose();
            throw new InvalidDataException(
                $"Tensor '{entry.Name}' is in more than one file of '{_source}'. Keep the files of one save only.");
        }

        _types.Add(entry.Name, entry.Type);
    }

    private void AddShards(string folder, bool map)
    {
        string index = Path.Combine(folder, IndexFile);
        SortedDictionary<string, string> weightMap = ReadWeightMap(index);
        foreach (string shard in weightMap.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            if (Path.GetFileName(shard) != shard || shard is "" or "." or ".." || shard.Contains('\\', StringComparison.Ordinal))
            {
                throw new InvalidDataException(
                    $"'{index}' names the file '{NameList.Short(shard)}', which is not a plain file name: no file outside the model's "
                    + "folder is opened.");
            }

            string path = Path.Combine(folder, shard);
            if (!File.Exists(path))
            {
                throw new FileNotFoundException(
                    $"'{index}' names the shard '{NameList.Short(shard)}', which is not there. Fetch it again.", path);
            }

            AddFile(path, map);
        }

        if (weightMap.Keys.FirstOrDefault(name => !_tensors.ContainsKey(name)) is { } absent)
        {
            throw new InvalidDataException(
                $"'{index}' says that '{NameList.Short(weightMap[absent])}' holds '{NameList.Short(absent)}', and it does "
                + "not. The shards are not those of this index.");
        }
    }

    private static SortedDictionary<string, string> ReadWeightMap(string index)
    {
        var map = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach ((string name, JsonReader shard) in JsonReader.Read(index)["weight_map"].Members)
        {
            map[name] = shard.Text;
        }

        return map;
    }
}
