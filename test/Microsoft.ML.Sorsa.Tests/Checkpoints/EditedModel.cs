using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;
using RawTensor = (string Name, string Type, long[] Shape, byte[] Bytes);

namespace Microsoft.ML.Sorsa.Tests.Checkpoints;

/// <summary>A copy of a model folder in which files are changed as their format says, byte by byte.</summary>
internal sealed class EditedModel
{
    private const string Weights = "model.safetensors";

    /// <summary>The mini model of test/data/cases: BF16, tied.</summary>
    public static string Mini => TestData.Case("00-mini-model");

    /// <param name="temporary">Where the copy goes.</param>
    /// <param name="source">The model; null: the mini model.</param>
    /// <param name="name">What to call the copy.</param>
    public EditedModel(TemporaryFolder temporary, string? source = null, string name = "model")
    {
        Folder = Directory.CreateDirectory(temporary.File(name)).FullName;
        foreach (string file in Directory.GetFiles(source ?? Mini))
        {
            System.IO.File.Copy(file, File(System.IO.Path.GetFileName(file)));
        }
    }

    public string Folder { get; }

    public string File(string name) => System.IO.Path.Combine(Folder, name);

    public EditedModel Set(string name, byte[] content)
    {
        System.IO.File.WriteAllBytes(File(name), content);
        return this;
    }

    public EditedModel Set(string name, string content) => Set(name, Encoding.UTF8.GetBytes(content));

    /// <summary>Sets a key of config.json to a JSON text.</summary>
    public EditedModel Config(string key, string json)
    {
        JsonNode config = JsonNode.Parse(System.IO.File.ReadAllText(File("config.json")))!;
        config[key] = JsonNode.Parse(json);
        return Set("config.json", config.ToJsonString());
    }

    /// <summary>Changes the list of the tensors.</summary>
    public EditedModel Tensors(Func<IReadOnlyList<RawTensor>, IEnumerable<RawTensor>> edit) =>
        Set(Weights, Bytes([.. edit(RawSafetensors.Read(System.IO.File.ReadAllBytes(File(Weights))))]));

    /// <summary>Gives every tensor another name.</summary>
    public EditedModel Rename(Func<string, string> rename) =>
        Tensors(tensors => tensors.Select(tensor => tensor with { Name = rename(tensor.Name) }));

    /// <summary>Adds a tensor of zeros.</summary>
    public EditedModel Add(string name, string type, long[] shape, int bytes) =>
        Tensors(tensors => tensors.Append((name, type, shape, new byte[bytes])));

    /// <summary>Adds a tensor, or puts it in the place of one.</summary>
    public EditedModel Put(string name, Tensor values)
    {
        string type = values.dtype switch
        {
            ScalarType.Float64 => "F64",
            ScalarType.Float32 => "F32",
            ScalarType.Float16 => "F16",
            _ => "BF16",
        };
        return Tensors(tensors => tensors.Where(tensor => tensor.Name != name)
            .Append((name, type, values.shape, values.contiguous().bytes.ToArray())));
    }

    /// <summary>The stored values of a tensor.</summary>
    public Tensor Values(string name)
    {
        using Checkpoint checkpoint = Checkpoint.OpenFolder(Folder);
        return checkpoint.Tensors[name].clone();
    }

    /// <summary>Stores every weight in another type.</summary>
    public EditedModel In(ScalarType type)
    {
        KeyValuePair<string, Tensor>[] tensors;
        using (Checkpoint checkpoint = Checkpoint.OpenFolder(Folder))
        {
            tensors = [.. checkpoint.Tensors.Select(named => KeyValuePair.Create(named.Key, named.Value.clone()))];
        }

        using var file = new MemoryStream();
        CheckpointWriter.Write(file, tensors, type);
        return Set(Weights, file.ToArray());
    }

    /// <summary>Two shards and their index instead of one file.</summary>
    public EditedModel Sharded()
    {
        IReadOnlyList<RawTensor> tensors = RawSafetensors.Read(System.IO.File.ReadAllBytes(File(Weights)));
        System.IO.File.Delete(File(Weights));
        string[] names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        Set(names[0], Bytes([.. tensors.Take(4)]));
        Set(names[1], Bytes([.. tensors.Skip(4)]));
        return Set("model.safetensors.index.json", JsonSerializer.Serialize(new
        {
            weight_map = tensors.Select((tensor, place) => (tensor.Name, File: names[place < 4 ? 0 : 1]))
                .ToDictionary(entry => entry.Name, entry => entry.File),
        }));
    }

    private static byte[] Bytes(IReadOnlyList<RawTensor> tensors)
    {
        int at = 0;
        var entries = new List<string>();
        foreach ((string name, string type, long[] shape, byte[] bytes) in tensors)
        {
            entries.Add(RawSafetensors.Entry(name, type, string.Join(", ", shape), $"{at}, {at + bytes.Length}"));
            at += bytes.Length;
        }

        return RawSafetensors.File($"{{{string.Join(',', entries)}}}", [.. tensors.SelectMany(tensor => tensor.Bytes)]);
    }
}
