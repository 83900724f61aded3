using System.Diagnostics;
using System.Text;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Tests.Checkpoints;

namespace Microsoft.ML.Sorsa.Tests.Files;

/// <summary>Files that somebody else wrote: what is opened, and in what encoding.</summary>
[TestClass]
[TestCategory("Files")]
public sealed class FilesOfOthersTests
{
    private static readonly string[] s_files =
    [
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json",
        "chat_template.jinja", "added_tokens.json",
    ];

    /// <summary>A reader of a pipe waits for its writer, which never comes.</summary>
    [TestMethod]
    [Timeout(120_000, CooperativeCancellation = true)]
    public void APipeIsNotOpened()
    {
        foreach (string name in s_files.SkipLast(1))
        {
            using var temporary = new TemporaryFolder();
            var model = new EditedModel(temporary);
            File.Delete(model.File(name));
            Pipe(model.File(name));

            string message = Assert.Throws<InvalidDataException>(() => new MLContext().Sorsa().LoadModel(model.Folder)).Message;

            Assert.Contains($"{name}' is empty, or a pipe or a device", message);
        }
    }

    [TestMethod]
    [DataRow("/dev/zero")]
    [DataRow("/dev/null")]
    [DataRow("/dev/stdin")]
    public void ADeviceIsNotRead(string device)
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Inconclusive("Windows has no such names.");
        }

        foreach (string name in new[] { "config.json", "model.safetensors", "tokenizer.json" })
        {
            using var temporary = new TemporaryFolder();
            var model = new EditedModel(temporary);
            File.Delete(model.File(name));
            File.CreateSymbolicLink(model.File(name), device);

            Assert.Throws<Exception>(() => new MLContext().Sorsa().LoadModel(model.Folder));
        }
    }

    [TestMethod]
    public void LinksThatRunInACircleLeadToNoFile()
    {
        using var temporary = new TemporaryFolder();
        File.CreateSymbolicLink(temporary.File("a"), temporary.File("b"));
        File.CreateSymbolicLink(temporary.File("b"), temporary.File("a"));

        Assert.Contains("which leads to no file", Assert.Throws<IOException>(() => RegularFile.OpenRead(temporary.File("a"))).Message);
    }

    [TestMethod]
    public void ALinkLeadsToItsFile()
    {
        using var temporary = new TemporaryFolder();
        File.WriteAllText(temporary.File("a"), "content");
        File.CreateSymbolicLink(temporary.File("b"), "a");

        Assert.AreEqual("content", Encoding.UTF8.GetString(RegularFile.ReadAllBytes(temporary.File("b"))));
    }

    [TestMethod]
    public void AFileThatIsTooLargeForMemoryIsNotRead()
    {
        using var temporary = new TemporaryFolder();
        using (FileStream file = File.Create(temporary.File("config.json")))
        {
            file.SetLength((long)RegularFile.MostBytes + 1);
        }

        Assert.Contains(
            "are read up to", Assert.ThrowsExactly<InvalidDataException>(() => JsonReader.Read(temporary.File("config.json"))).Message);
    }

    [TestMethod]
    [DataRow("utf-16")]
    [DataRow("utf-16BE")]
    public void JsonInUtf16SaysSo(string encoding)
    {
        var utf16 = Encoding.GetEncoding(encoding);
        foreach (byte[] json in new[] { utf16.GetBytes("{\"a\": 1}"), [.. utf16.GetPreamble(), .. utf16.GetBytes("{\"a\": 1}")] })
        {
            Assert.Contains(
                "'x.json' is in UTF-16", Assert.ThrowsExactly<InvalidDataException>(() => JsonReader.Parse("x.json", json)).Message);
        }
    }

    [TestMethod]
    public void JsonInAnotherEncodingNamesTheByte()
    {
        byte[] json = Encoding.Latin1.GetBytes("{\"a\": 1,\n \"b\": \"\u00E9\"}");

        string message = Assert.ThrowsExactly<InvalidDataException>(() => JsonReader.Parse("x.json", json)).Message;

        Assert.Contains("'x.json' is not UTF-8: byte 16, in line 2, is 0xE9", message);
    }

    [TestMethod]
    public void AKeyWithHalfASurrogatePairNamesTheFile()
    {
        JsonReader json = JsonReader.Parse("x.json", "{\"a\": {\"\\ud800\": 1}}"u8);

        Assert.Contains("x.json", Assert.ThrowsExactly<InvalidDataException>(() => json["a"].Members.ToArray()).Message);
        Assert.IsFalse(json.Has("b"));
    }

    /// <summary>What other readers read must not be taken for a wrong file.</summary>
    [TestMethod]
    [DataRow("{\"a\": 1}")]
    [DataRow("  [1]")]
    [DataRow("{{ bos_token }}")]
    [DataRow("IQ== 0\nIg== 1\n")]
    [DataRow("\n\x09\n\x05<unk>")]
    public void AFileOfItsOwnKindIsNotKnown(string start) => Assert.IsNull(WrongFile.Describe(Encoding.UTF8.GetBytes(start)));

    internal static void Pipe(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Inconclusive("Windows has no pipes in folders.");
        }

        using Process mkfifo = Process.Start("mkfifo", path);
        mkfifo.WaitForExit();
        Assert.AreEqual(0, mkfifo.ExitCode);
    }
}
