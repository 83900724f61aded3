using System.IO.Compression;
using System.Text;
using Microsoft.ML.Sorsa.Tool;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>Files that are damaged, or made to do harm: inspect says which file it is and what to do, and ends with 3.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class DamagedFilesTests
{
    private const long Huge = long.MaxValue / 2;

    [TestMethod]
    [DataRow(5L)]
    [DataRow(long.MaxValue, 3L)]
    [DataRow(Huge)]
    [DataRow(-4L)]
    [DataRow(1L, 1L, 1L, 1L, 1L)]
    public void GgufTensorsHaveSizesThatCanBe(params long[] sizes)
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("model.gguf");

        // Each tensor of F32 and of F16, so that the sums over one type and over both are looked at.
        WriteGguf(file, 0, 4, writer =>
        {
            foreach (uint type in (uint[])[0, 1, 0, 1])
            {
                Text(writer, "weight");
                writer.Write((uint)sizes.Length);
                Array.ForEach(sizes, writer.Write);
                writer.Write(type);
                writer.Write(0UL);
            }
        });

        if (sizes is [5L])
        {
            SorsaCommand.Run("inspect", file).Succeeds();
            return;
        }

        AssertDamaged(file, file);
    }

    /// <summary>A list in a list in a list, a hundred thousand times: 1.2 MB.</summary>
    [TestMethod]
    public void GgufListsHoldNoLists()
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("model.gguf");
        WriteGguf(file, 1, 0, writer =>
        {
            Text(writer, "tokens");
            writer.Write(9U);
            for (int i = 0; i < 100_000; i++)
            {
                writer.Write(9U);
                writer.Write(1L);
            }
        });

        AssertDamaged(file, file);
    }

    /// <summary>A value of a file's own may be called as one of those that are shown.</summary>
    [TestMethod]
    public void GgufKeysMayBeAnything()
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("model.gguf");
        WriteGguf(file, 1, 0, writer =>
        {
            Text(writer, "bytes");
            writer.Write(8U);
            Text(writer, "many");
        });

        Assert.AreEqual("many", SorsaCommand.Run("inspect", file, "--json").Succeeds().Json.GetProperty("bytes").GetString());
    }

    [TestMethod]
    [DataRow("""[]""")]
    [DataRow("""{""")]
    [DataRow("""{"w": 1}""")]
    [DataRow("""{"w": {}}""")]
    [DataRow("""{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}""")]
    [DataRow("""{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4, 8]}}""")]
    [DataRow("""{"w": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}""")]
    [DataRow("""{"w": {"dtype": "F32", "shape": [2], "data_offsets": 8}}""")]
    [DataRow("""{"w": {"dtype": "F32", "shape": [2], "data_offsets": ["0", "8"]}}""")]
    [DataRow("""{"w": {"dtype": "F32", "shape": [2.5], "data_offsets": [0, 8]}}""")]
    [DataRow("""{"w": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}""")]
    [DataRow("""{"w": {"dtype": "F32", "shape": [9223372036854775807, 3], "data_offsets": [0, 8]}}""")]
    [DataRow("""{"w": {"dtype": "F32", "shape": [1e99], "data_offsets": [0, 8]}}""")]
    [DataRow("""{"w": {"dtype": null, "shape": [2], "data_offsets": [0, 8]}}""")]
    [DataRow("""{"w": {"dtype": 3, "shape": [2], "data_offsets": [0, 8]}}""")]
    [DataRow("""
        {"a": {"dtype": "F32", "shape": [9223372036854775807], "data_offsets": [0, 8]},
         "b": {"dtype": "F16", "shape": [9223372036854775807], "data_offsets": [0, 8]}}
        """)]
    public void SafetensorsSayWhatTheyHold(string header)
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("model.safetensors"), zip = folder.File("model.zip");
        byte[] bytes = [.. BitConverter.GetBytes((long)header.Length), .. Encoding.UTF8.GetBytes(header), .. new byte[8]];
        File.WriteAllBytes(file, bytes);
        WriteZip(zip, "{}"u8, bytes);

        AssertDamaged(file, file);
        AssertDamaged(zip, zip);
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("{\"model_type\": ")]
    [DataRow("[1]")]
    [DataRow("null")]
    [DataRow("{\"rope_theta\": {\"a\": 1, \"a\": 2}}")]
    public void ConfigsAreObjects(string config)
    {
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip"), model = Directory.CreateDirectory(folder.File("model")).FullName;
        byte[] weights = [.. BitConverter.GetBytes(2L), .. "{}"u8];
        WriteZip(zip, Encoding.UTF8.GetBytes(config), weights);
        File.WriteAllText(Path.Combine(model, "config.json"), config);
        File.WriteAllBytes(Path.Combine(model, "model.safetensors"), weights);

        AssertDamaged(zip, zip);
        AssertDamaged(model, Path.Combine(model, "config.json"));
    }

    private static void AssertDamaged(string path, string named)
    {
        CommandResult result = SorsaCommand.Run("inspect", path);

        Assert.AreEqual(ExitCode.Input, result.ExitCode, result.Error);
        Assert.Contains($"'{named}'", result.Error);
        Assert.Contains("again.", result.Error);
    }

    private static void WriteGguf(string file, long entries, long tensors, Action<BinaryWriter> rest)
    {
        using var writer = new BinaryWriter(File.Create(file));
        writer.Write("GGUF"u8);
        writer.Write(3U);
        writer.Write(tensors);
        writer.Write(entries);
        rest(writer);
    }

    private static void Text(BinaryWriter writer, string text)
    {
        writer.Write((long)text.Length);
        writer.Write(Encoding.UTF8.GetBytes(text));
    }

    private static void WriteZip(string file, ReadOnlySpan<byte> config, ReadOnlySpan<byte> weights)
    {
        using ZipArchive zip = ZipFile.Open(file, ZipArchiveMode.Create);
        using (Stream stream = zip.CreateEntry("config.json").Open())
        {
            stream.Write(config);
        }

        using Stream tensors = zip.CreateEntry("model.safetensors").Open();
        tensors.Write(weights);
    }
}
