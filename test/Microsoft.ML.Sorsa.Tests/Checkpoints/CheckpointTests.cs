using System.Text.Json;
using Microsoft.ML.Sorsa.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Checkpoints;

/// <summary>Folders of shards, mapped tensors and their lives, and the comparison with a configuration.</summary>
[TestClass]
[TestCategory("Checkpoints")]
public sealed class CheckpointTests
{
    [TestMethod]
    [DataRow(1_000_000, 1)]
    [DataRow(100, 3)]
    [DataRow(79, 4)]
    [DataRow(1, 5)]
    public void ShardsHoldEveryTensorOnce(long shardSize, int count)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        int[] sizes = [10, 5, 20, 8, 12];
        KeyValuePair<string, Tensor>[] tensors = [.. sizes.Select((size, i) =>
            KeyValuePair.Create($"layer.{i}", arange(100 * i, (100 * i) + size, ScalarType.Float32)))];

        CheckpointFolder.Write(folder.Path, tensors, ScalarType.Float32, shardSize);

        string[] files = [.. Directory.GetFiles(folder.Path, "*.safetensors").Order(StringComparer.Ordinal)];
        Assert.HasCount(count, files);
        string[] names = count == 1
            ? ["model.safetensors"]
            : [.. Enumerable.Range(1, count).Select(i => $"model-{i:D5}-of-{count:D5}.safetensors")];
        CollectionAssert.AreEqual(names, files.Select(Path.GetFileName).ToArray());
        var shards = files.Select(file => (File: Path.GetFileName(file), Tensors: RawSafetensors.Read(File.ReadAllBytes(file)))).ToList();
        var written = shards.SelectMany(shard => shard.Tensors.Select(tensor => (shard.File, tensor.Name))).ToList();
        CollectionAssert.AreEqual(tensors.Select(named => named.Key).ToArray(), written.Select(tensor => tensor.Name).ToArray());
        Assert.IsTrue(shards.All(shard => shard.Tensors.Count == 1 || shard.Tensors.Sum(tensor => tensor.Bytes.Length) <= shardSize));
        Assert.AreEqual(count > 1, File.Exists(folder.File("model.safetensors.index.json")));
        if (count > 1)
        {
            using JsonDocument index = JsonDocument.Parse(File.ReadAllBytes(folder.File("model.safetensors.index.json")));
            Assert.AreEqual(55 * 4, index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt32());
            Assert.IsTrue(written.All(
                tensor => index.RootElement.GetProperty("weight_map").GetProperty(tensor.Name).GetString() == tensor.File));
        }

        using Checkpoint checkpoint = Checkpoint.OpenFolder(folder.Path);
        Assert.IsTrue(tensors.All(named => named.Value.bytes.SequenceEqual(checkpoint.Tensors[named.Key].bytes)));
        Assert.HasCount(tensors.Length, checkpoint.Names);
    }

    [TestMethod]
    [DataRow("../x.safetensors", "not a plain file name")]
    [DataRow("/etc/x.safetensors", "not a plain file name")]
    [DataRow("a/b", "not a plain file name")]
    [DataRow("a\\b", "not a plain file name")]
    [DataRow("..\\b", "not a plain file name")]
    [DataRow("..", "not a plain file name")]
    [DataRow(".", "not a plain file name")]
    [DataRow("", "not a plain file name")]
    public void AnIndexThatPointsOutsideItsFolderIsRefused(string shard, string message)
    {
        using var folder = new TemporaryFolder();
        string inner = Directory.CreateDirectory(folder.File("model")).FullName;
        File.WriteAllBytes(folder.File("x.safetensors"), OneTensor("w"));
        WriteIndex(inner, ("w", shard));

        var error = Assert.ThrowsExactly<InvalidDataException>(() => Checkpoint.OpenFolder(inner));

        Assert.Contains(message, error.Message);
        Assert.Contains($"'{shard}'", error.Message);
    }

    [TestMethod]
    [DataRow("{", "model.safetensors.index.json is not valid JSON")]
    [DataRow("[]", "model.safetensors.index.json must hold a JSON object")]
    [DataRow("{}", "'weight_map' is missing")]
    [DataRow("{\"weight_map\":[]}", "'weight_map' must be an object")]
    [DataRow("{\"weight_map\":{\"w\":null}}", "'weight_map.w' must be a string; it is null")]
    [DataRow("{\"weight_map\":{\"w\":7}}", "'weight_map.w' must be a string; it is 7")]
    public void ABadIndexIsRefused(string json, string message)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("model.safetensors.index.json"), json);

        Assert.Contains(message, Assert.ThrowsExactly<InvalidDataException>(() => Checkpoint.OpenFolder(folder.Path)).Message);
    }

    [TestMethod]
    public void AMissingShardIsNamed()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("one"), OneTensor("a"));
        WriteIndex(folder.Path, ("a", "one"), ("b", "two"));

        var error = Assert.ThrowsExactly<FileNotFoundException>(() => Checkpoint.OpenFolder(folder.Path));

        Assert.Contains("'two'", error.Message);
        Assert.AreEqual(folder.File("two"), error.FileName);
    }

    [TestMethod]
    public void AShardOfAnotherIndexIsRefused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("one"), OneTensor("a"));
        File.WriteAllBytes(folder.File("two"), OneTensor("c"));
        WriteIndex(folder.Path, ("a", "one"), ("b", "two"));

        var error = Assert.ThrowsExactly<InvalidDataException>(() => Checkpoint.OpenFolder(folder.Path));

        Assert.Contains("says that 'two' holds 'b', and it does not", error.Message);
    }

    [TestMethod]
    public void ATensorInTwoShardsIsRefused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("one"), OneTensor("a"));
        File.WriteAllBytes(folder.File("two"), OneTensor("a"));
        WriteIndex(folder.Path, ("a", "one"), ("b", "two"));

        Assert.Contains(
            "'a' is in more than one file", Assert.ThrowsExactly<InvalidDataException>(() => Checkpoint.OpenFolder(folder.Path)).Message);
    }

    [TestMethod]
    public void AFolderWithoutWeightsIsRefused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("pytorch_model.bin"), "x");

        Assert.Contains("pytorch_model.bin", Assert.ThrowsExactly<FileNotFoundException>(() => Checkpoint.OpenFolder(folder.Path)).Message);
        Assert.Contains(
            "does not exist", Assert.ThrowsExactly<DirectoryNotFoundException>(() => Checkpoint.OpenFolder(folder.File("none"))).Message);
    }

    [TestMethod]
    public void EveryMismatchIsInOneError()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("model.safetensors"), RawSafetensors.File(
            "{" + string.Join(",", RawSafetensors.Entry("good", "F32", "1", "0, 4"), RawSafetensors.Entry("bent", "F32", "1, 1", "4, 8"),
                RawSafetensors.Entry("extra", "F32", "1", "8, 12"), RawSafetensors.Entry("counted", "I32", "1", "12, 16"),
                RawSafetensors.Entry("ignored", "F32", "1", "16, 20")) + "}", new byte[20]));
        using Checkpoint checkpoint = Checkpoint.OpenFolder(folder.Path);
        var expected = new Dictionary<string, long[]>
        {
            ["good"] = [1],
            ["bent"] = [2, 1],
            ["gone"] = [3],
            ["away"] = [],
            ["counted"] = [1]
        };

        checkpoint.Drop("ignored");

        var error = Assert.ThrowsExactly<InvalidDataException>(() => checkpoint.Verify(expected));

        string[] lines = error.Message.Split(Environment.NewLine);
        Assert.Contains(folder.Path, lines[0]);
        string[] faults =
        [
            "  missing: away []",
            "  misshapen: bent is [1, 1] and the configuration asks for [2, 1]",
            "  mistyped: counted is I32, and weights are F64, F32, F16 or BF16 (quantised ones are not read: use the checkpoint that they "
                + "were made from)",
            "  missing: gone [3]",
            "  unexpected: extra [1]",
        ];
        CollectionAssert.AreEqual(faults, lines[1..]);
    }

    [TestMethod]
    public void TheTypeOfTheLargestTensorIsTheStoredType()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("model.safetensors"), RawSafetensors.File(
            "{" + RawSafetensors.Entry("a", "F32", "2", "0, 8") + "," + RawSafetensors.Entry("b", "BF16", "5", "8, 18") + "}",
            new byte[18]));
        using Checkpoint checkpoint = Checkpoint.OpenFolder(folder.Path);

        Assert.AreEqual(ScalarType.BFloat16, checkpoint.StoredType);
    }

    [TestMethod]
    public void AFilesTensorsStandOnItsPages()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        Tensor first = rand(3000), second = rand(5000);
        CheckpointFolder.Write(folder.Path, [new("first", first), new("second", second)], ScalarType.Float32);
        using Checkpoint checkpoint = Checkpoint.OpenFolder(folder.Path);
        Tensor taken = checkpoint.Take("second", ScalarType.Float32, CPU);

        AssertMapped(folder.File("model.safetensors"), taken, checkpoint.Tensors["first"]);
    }

    [TestMethod]
    public void TheMapStaysAsLongAsATensorDoes()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        Tensor values = rand(3000);
        CheckpointFolder.Write(folder.Path, [new("a", values), new("b", values), new("none", zeros([0, 2]))], ScalarType.Float32);
        string file = folder.File("model.safetensors");
        Tensor taken;
        using (Checkpoint checkpoint = Checkpoint.OpenFolder(folder.Path))
        {
            taken = checkpoint.Take("a", ScalarType.Float32, CPU);
        }

        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Tensor view = taken.narrow(0, 10, 5);
        Assert.IsTrue(taken.bytes.SequenceEqual(values.bytes));
        taken.Dispose();
        Assert.IsTrue(view.bytes.SequenceEqual(values.narrow(0, 10, 5).bytes));
        AssertMapped(file, view);

        view.Dispose();
        if (OperatingSystem.IsLinux())
        {
            Assert.IsEmpty(Maps(file));
        }
    }

    [TestMethod]
    public void AConvertedTensorLeavesTheMap()
    {
        using var folder = new TemporaryFolder();
        using Tensor values = rand(3000);
        CheckpointFolder.Write(folder.Path, [new("a", values)], ScalarType.BFloat16);
        using Checkpoint checkpoint = Checkpoint.OpenFolder(folder.Path);

        using Tensor taken = checkpoint.Take("a", ScalarType.Float32, CPU);

        Assert.IsTrue(taken.allclose(values, 0.004, 0));
        Assert.IsEmpty(checkpoint.Names);
        if (OperatingSystem.IsLinux())
        {
            Assert.IsEmpty(Maps(folder.File("model.safetensors")));
        }
    }

    [TestMethod]
    public void ARefusedFolderLeavesNoMap()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("one"), OneTensor("a"));
        WriteIndex(folder.Path, ("a", "one"), ("b", "two"));

        Assert.ThrowsExactly<FileNotFoundException>(() => Checkpoint.OpenFolder(folder.Path));

        if (OperatingSystem.IsLinux())
        {
            Assert.IsEmpty(Maps(folder.File("one")));
        }
    }

    private static void AssertMapped(string file, params Tensor[] tensors)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        var maps = Maps(file);
        foreach (Tensor tensor in tensors)
        {
            ulong address = (ulong)TensorAddress.Of(tensor);
            Assert.IsTrue(maps.Any(map => map.Start <= address && address < map.End), "The tensor does not stand on the file's pages.");
        }
    }

    /// <summary>Where the kernel has mapped a file in this process.</summary>
    private static List<(ulong Start, ulong End)> Maps(string file) =>
        [.. File.ReadAllLines("/proc/self/maps").Where(line => line.EndsWith(file, StringComparison.Ordinal)).Select(line =>
        {
            string[] range = line.Split(' ')[0].Split('-');
            return (Convert.ToUInt64(range[0], 16), Convert.ToUInt64(range[1], 16));
        })];

    private static byte[] OneTensor(string name) =>
        RawSafetensors.File("{" + RawSafetensors.Entry(name, "F32", "1", "0, 4") + "}", new byte[4]);

    private static void WriteIndex(string folder, params (string Name, string Shard)[] map) => File.WriteAllText(
        Path.Combine(folder, "model.safetensors.index.json"),
        JsonSerializer.Serialize(new { weight_map = map.ToDictionary(entry => entry.Name, entry => entry.Shard) }));
}
