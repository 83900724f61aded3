using System.IO.Compression;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML;

namespace Microsoft.ML.Sorsa.Tests.Surface;

/// <summary>Model zips that were cut, changed or made by somebody else. (ML.NET wraps what a loader throws.)</summary>
[TestClass]
[TestCategory("Surface")]
[TestCategory("Persistence")]
public sealed class SorsaBadZipTests
{
    private static TemporaryFolder s_folder = null!;
    private static string s_zip = "";

    private readonly MLContext _mlContext = new();

    [ClassInitialize]
    public static void Save(TestContext context)
    {
        s_folder = new TemporaryFolder();
        s_zip = s_folder.File("model.zip");
        var mlContext = new MLContext();
        using SorsaTransformer model = mlContext.Sorsa().LoadModel(TestData.TinyLlama);
        mlContext.Model.Save(model, TinyTask.Data(mlContext).Schema, s_zip);
    }

    [ClassCleanup]
    public static void Remove() => s_folder.Dispose();

    [TestMethod]
    [DataRow(0.1)]
    [DataRow(0.5)]
    [DataRow(0.9)]
    [DataRow(0.999)]
    [DataRow(0.99999)]
    public void CutShort(double share)
    {
        using var folder = new TemporaryFolder();
        byte[] zip = File.ReadAllBytes(s_zip);
        File.WriteAllBytes(folder.File("cut.zip"), zip[..(int)(zip.Length * share)]);

        Exception error = Assert.Throws<Exception>(() => _mlContext.Model.Load(folder.File("cut.zip"), out _)).GetBaseException();

        Assert.IsInstanceOfType<InvalidDataException>(error, error.ToString());
    }

    /// <summary>ZipArchive itself answers this.</summary>
    [TestMethod]
    public void AnEmptyFile()
    {
        File.WriteAllBytes(s_folder.File("empty.zip"), []);

        Exception error = Assert.Throws<Exception>(() => _mlContext.Model.Load(s_folder.File("empty.zip"), out _));
        Assert.IsInstanceOfType<IOException>(error.GetBaseException());
    }

    /// <summary>The whole file is there, but an entry of it is not, or is another.</summary>
    [TestMethod]
    [DataRow("model.safetensors")]
    [DataRow("config.json")]
    [DataRow("tokenizer.json")]
    public void AnEntryThatIsMissingOrShorter(string name)
    {
        Exception missing = Refused(Changed(archive => Entry(archive, name).Delete()));
        Exception shorter = Refused(Changed(archive => Rewrite(Entry(archive, name), bytes => bytes[..^1])));

        Assert.Contains($"The entry '{name}' of the model zip is missing", missing.Message);
        Assert.Contains($"The entry '{name}' of the model zip has ", shorter.Message);
        Assert.Contains("Save the model or copy the zip again", shorter.Message);
    }

    [TestMethod]
    public void AChangedByteAmongTheWeights()
    {
        Exception error = Refused(Changed(archive => Rewrite(Entry(archive, "model.safetensors"), bytes =>
        {
            bytes[bytes.Length / 2] ^= 1;
            return bytes;
        })));

        Assert.Contains("the bytes of model.safetensors are not those that were saved", error.Message);
    }

    /// <summary>A digit of config.json: it would be another model, without a word.</summary>
    [TestMethod]
    public void AttackZipConfigSilent()
    {
        Exception error = Refused(Changed(archive => Rewrite(Entry(archive, "config.json"), bytes =>
            Encoding.UTF8.GetBytes(Regex.Replace(
                Encoding.UTF8.GetString(bytes), "\"intermediate_size\": 352", "\"intermediate_size\": 360")))));

        Assert.Contains("The entry 'config.json' of the model zip is damaged", error.Message);
    }

    /// <summary>The safetensors header's length is eight bytes shorter: what is wrong is named, not what that led to.</summary>
    [TestMethod]
    public void AttackZipHeaderMasked()
    {
        Exception error = Refused(Changed(archive => Rewrite(Entry(archive, "model.safetensors"), bytes =>
        {
            bytes[0] -= 8;
            return bytes;
        })));

        Assert.Contains("The entry 'model.safetensors' of the model zip is damaged", error.Message);
        Assert.IsInstanceOfType<InvalidDataException>(error.InnerException);
    }

    /// <summary>30 MB of spaces behind the JSON, in some 30 kB of zip: refused before they take any memory.</summary>
    [TestMethod]
    public void AttackZipBomb()
    {
        const int Spaces = 30_000_000;
        long length = 0;
        string zip = Changed(archive =>
        {
            ZipArchiveEntry stored = Entry(archive, "config.json");
            byte[] json = new byte[stored.Length];
            using (Stream content = stored.Open())
            {
                content.ReadExactly(json);
            }

            string name = stored.FullName;
            stored.Delete();
            using (Stream content = archive.CreateEntry(name, CompressionLevel.Optimal).Open())
            {
                content.Write(json);
                content.Write(Enumerable.Repeat((byte)' ', Spaces).ToArray());
            }

            length = json.Length;
            Rewrite(ModelStream(archive), stream =>
            {
                BitConverter.GetBytes(length + Spaces).CopyTo(stream, IndexOf(stream, BitConverter.GetBytes(length)));
                return stream;
            });
        });
        long before = GC.GetAllocatedBytesForCurrentThread();

        Exception error = Refused(zip);

        Assert.Contains("The entry 'config.json' of the model zip is compressed", error.Message);
        Assert.IsLessThan(Spaces / 10, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    /// <summary>One bit anywhere but in the weights: the zip is refused, or what came out of it is what was saved.</summary>
    [TestMethod]
    public void OneBitIsNoticedOrDoesNotCount()
    {
        byte[] whole = File.ReadAllBytes(s_zip);
        int weights = IndexOf(whole, "model.safetensors"u8);
        using SorsaTransformer saved = _mlContext.Sorsa().LoadZip(s_zip);
        string expected = Content(saved);
        var random = new Random(5);
        int refused = 0;
        for (int i = 0; i < 120; i++)
        {
            byte[] changed = [.. whole];
            int at;
            do
            {
                at = random.Next(whole.Length);
            }
            while (at > weights + 200 && at < weights + 2_300_000);
            changed[at] ^= (byte)(1 << random.Next(8));
            string zip = s_folder.File("bit.zip");
            File.WriteAllBytes(zip, changed);
            try
            {
                using SorsaTransformer loaded = _mlContext.Sorsa().LoadZip(zip);
                Assert.AreEqual(expected, Content(loaded), $"byte {at}");
            }
            catch (Exception e) when (e is not AssertFailedException)
            {
                Assert.IsInstanceOfType<InvalidDataException>(e, $"byte {at}: {e}");
                refused++;
            }
        }

        Assert.IsGreaterThan(60, refused);
    }

    private static string Content(SorsaTransformer transformer) => string.Join('\n', [
        transformer.Model.PromptColumnName, transformer.Model.OutputColumnName, transformer.Model.Prompts.Template.Serialize(),
        transformer.Model.Generation.ToString(), transformer.Model.SavedType.ToString(), transformer.Model.Network.Type.ToString(),
        Encoding.UTF8.GetString(transformer.Model.Network.Config.Json),
        .. transformer.Model.TokenizerFiles.Names.Select(name => Convert.ToHexString(
            System.Security.Cryptography.SHA256.HashData(transformer.Model.TokenizerFiles.Find(name)!)))]);

    /// <summary>
    /// Behind the signature stand the version that wrote and the oldest that can read, 0x00010001 each: their upper halves are raised.
    /// </summary>
    [TestMethod]
    public void ANewerVersion()
    {
        string zip = Changed(archive => Rewrite(ModelStream(archive), stream =>
        {
            int at = IndexOf(stream, "SORSATXT"u8) + 8;
            stream[at + 2] = 9;
            stream[at + 6] = 9;
            return stream;
        }));

        Exception error = Assert.Throws<Exception>(() => _mlContext.Model.Load(zip, out _)).GetBaseException();

        Assert.IsInstanceOfType<FormatException>(error, error.ToString());
        Assert.Contains("version", error.Message);
    }

    [TestMethod]
    [DataRow("tokenizer.json", "../../../a.json")]
    [DataRow("tokenizer.json", "/etc/hostname12")]
    [DataRow("tokenizer.json", "C:\\a\\b\\c.json.")]
    [DataRow("tokenizer.json", "tokenizer_bjson")]
    public void ANameThatIsNoTokenizerFile(string name, string other)
    {
        string zip = Changed(archive => Rewrite(ModelStream(archive), stream =>
        {
            byte[] text = Encoding.Unicode.GetBytes(name);
            Encoding.Unicode.GetBytes(other).AsSpan(0, text.Length).CopyTo(stream.AsSpan(IndexOf(stream, text)));
            return stream;
        }));

        Refused(zip);
    }

    /// <summary>
    /// TopK stands behind MaxNewTokens (256), Temperature (0) and TopP (1); each value is in its range, together they make no sense.
    /// </summary>
    [TestMethod]
    public void GenerationThatDoesNotFitTogether()
    {
        byte[] before = [.. BitConverter.GetBytes(256), .. BitConverter.GetBytes(0.0), .. BitConverter.GetBytes(1.0)];
        string zip = Changed(archive => Rewrite(ModelStream(archive), stream =>
        {
            stream[IndexOf(stream, before) + before.Length] = 5;
            return stream;
        }));

        Exception error = Assert.ThrowsExactly<TargetInvocationException>(() => _mlContext.Model.Load(zip, out _)).InnerException!;

        Assert.IsInstanceOfType<InvalidDataException>(error, error.ToString());
        Assert.Contains("TopK is 5 and Temperature is 0", error.Message);
    }

    [TestMethod]
    public void AModelStreamCutAnywhere()
    {
        int length = 0;
        Changed(archive => length = (int)ModelStream(archive).Length);
        foreach (int kept in Enumerable.Range(1, 8).Select(part => length * part / 9))
        {
            string zip = Changed(archive => Rewrite(ModelStream(archive), stream => stream[..kept]));
            Exception error = Assert.Throws<Exception>(() => _mlContext.Model.Load(zip, out _)).GetBaseException();
            Assert.IsTrue(error is FormatException or IOException or InvalidDataException, $"{kept} of {length}: {error}");
        }
    }

    private static int IndexOf(byte[] bytes, ReadOnlySpan<byte> part)
    {
        int at = bytes.AsSpan().IndexOf(part);
        Assert.IsGreaterThanOrEqualTo(0, at, Encoding.UTF8.GetString(part));
        return at;
    }

    private static ZipArchiveEntry Entry(ZipArchive archive, string name) => archive.Entries.Single(entry => entry.Name == name);

    /// <summary>Our own model stream: the one beside the weights.</summary>
    private static ZipArchiveEntry ModelStream(ZipArchive archive) =>
        archive.GetEntry(Entry(archive, "model.safetensors").FullName.Replace("model.safetensors", "Model.key", StringComparison.Ordinal))!;

    private static void Rewrite(ZipArchiveEntry entry, Func<byte[], byte[]> change)
    {
        using Stream stream = entry.Open();
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        bytes = change(bytes);
        stream.SetLength(0);
        stream.Write(bytes);
    }

    private static string Changed(Action<ZipArchive> change)
    {
        string copy = s_folder.File("changed.zip");
        File.Copy(s_zip, copy, overwrite: true);
        using ZipArchive archive = ZipFile.Open(copy, ZipArchiveMode.Update);
        change(archive);
        return copy;
    }

    private InvalidDataException Refused(string zip)
    {
        Exception error = Assert.ThrowsExactly<TargetInvocationException>(() => _mlContext.Model.Load(zip, out _));
        while (error is TargetInvocationException)
        {
            error = error.InnerException!;
        }

        return Assert.IsInstanceOfType<InvalidDataException>(error, error.ToString());
    }
}
