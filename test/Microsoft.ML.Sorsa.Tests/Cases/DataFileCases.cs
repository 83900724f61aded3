using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Data;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>What people give to LoadFromJsonLines.</summary>
[TestClass]
[TestCategory("Cases")]
[TestCategory("DataViews")]
public sealed class DataFileCases
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    private readonly MLContext _mlContext = new();

    [TestMethod]
    [DataRow("[{\"q\":\"a\",\"r\":\"1\"},{\"q\":\"b\",\"r\":\"2\"}]", DisplayName = "array on one line")]
    [DataRow("\uFEFF \n[\n {\"q\":\"a\",\"r\":\"1\"},\r\n {\"q\":\"b\",\"r\":\"2\"}\n]\n", DisplayName = "array, one element on each line")]
    [DataRow("[\n{\n \"q\": \"a\",\n \"r\": \"1\"\n}\n,\n{\"r\":\"2\",\"q\":\"b\"}]", DisplayName = "array, pretty-printed")]
    [DataRow("{\n \"q\": \"a\",\n \"r\": \"1\"\n}\n{\n \"q\": \"b\",\n \"r\": \"2\"\n}\n", DisplayName = "objects, pretty-printed")]
    [DataRow("{ \"q\": \"a\",\r\n  \"r\": \"1\" }\r\n\r\n{ \"q\": \"b\",\r\n  \"r\": \"2\" }", DisplayName = "objects over two lines")]
    [DataRow("{\n\"q\":\"a\",\"x\":[{},[\"]}\"]],\"r\":\"1\"}{\"q\":\"b\",\"r\":\"2\"}", DisplayName = "objects without a space between")]
    public void Case19OtherFormsOfJsonAreRead(string text)
    {
        using var folder = new TemporaryFolder();
        IDataView data = _mlContext.Data.LoadFromJsonLines(Write(folder, Encoding.UTF8.GetBytes(text)));

        Assert.AreSequenceEqual(["q", "r"], data.Schema.Select(column => column.Name).ToArray());
        Assert.AreSequenceEqual(["a", "b"], Column(data, "q"));
        Assert.AreSequenceEqual(["1", "2"], Column(data, "r"));
        Assert.AreSequenceEqual(["1", "2"], Column(data, "r"), "again");
    }

    /// <summary>As SQuAD has it: the rows are a level down.</summary>
    [TestMethod]
    [DataRow("{\"version\":1,\"data\":[{\"q\":\"a\"}]}")]
    [DataRow("{\n \"data\": [\n {\"q\": \"a\"}\n ]\n}")]
    public void Case19RowsInAListOfAnObjectAreShown(string text)
    {
        using var folder = new TemporaryFolder();
        string file = Write(folder, Encoding.UTF8.GetBytes(text));

        foreach (string[] columns in new string[][] { [], ["q"] })
        {
            Assert.Contains(
                "If the rows are the elements of 'data': write these to a file",
                Assert.ThrowsExactly<InvalidDataException>(() => _mlContext.Data.LoadFromJsonLines(file, columns)).Message);
        }
    }

    [TestMethod]
    [Timeout(120_000, CooperativeCancellation = true)]
    public void Case19APipeIsNoDataFile()
    {
        using var folder = new TemporaryFolder();
        Files.FilesOfOthersTests.Pipe(folder.File("rows"));

        Assert.Contains("is a pipe or a device", Assert.ThrowsExactly<InvalidDataException>(
            () => _mlContext.Data.LoadFromJsonLines(folder.File("rows"))).Message);
    }

    /// <summary>Texts with whatever ends a row elsewhere, longer than any buffer, written by another library's writer.</summary>
    [TestMethod]
    public void Case19AnyTextComesBackFromAnArray()
    {
        string[] texts =
        [
            "", "\"", "\\", "\\\"", "]}", "{[", "\",\n", "é😀\u2028",
            .. Enumerable.Range(0, 40).Select(i => new string('\\', 3000 * i) + "\"}]"),
            new string('x', 300_000), "end",
        ];
        foreach (JsonSerializerOptions options in new[] { JsonSerializerOptions.Default, s_indented })
        {
            using var folder = new TemporaryFolder();
            byte[] array = JsonSerializer.SerializeToUtf8Bytes(texts.Select(text => new { q = text }), options);

            CollectionAssert.AreEqual(texts, Column(_mlContext.Data.LoadFromJsonLines(Write(folder, array)), "q"));
        }
    }

    [TestMethod]
    [DataRow("[{\"q\":\"a\"},\n{\"q\":}]", "line 2: the value that begins here is not valid JSON at its byte 6")]
    [DataRow("[{\"q\":\"a\"},\n\n{\n\"q\":}]", "line 3: the value that begins here is not valid JSON at its byte 7")]
    [DataRow("[{\"q\":\"a\"},\n[1]]", "line 2: an element of the JSON array is of the type array")]
    [DataRow("[{\"q\":\"a\"},\n7]", "line 2: an element of the JSON array is of the type number")]
    [DataRow("[{\"q\":\"a\"},\n{\"Q\":\"b\"}]", "line 2: there is no property 'q', only 'Q'")]
    [DataRow("[{\"q\":\"a\"}\n{\"q\":\"b\"}]", "line 2: there is no comma between two elements")]
    [DataRow("[{\"q\":\"a\"},\n{\"q\":\"b\"}", "line 2: the file ends inside of its JSON array")]
    [DataRow("[{\"q\":\"a\"},", "the file ends inside of its JSON array")]
    [DataRow("[{\"q\":\"a\"},\n{\"q\":\"b", "line 2: what begins here has no end")]
    [DataRow("[{\"q\":\"a\"}]\n\n[{\"q\":\"b\"}]", "line 3: there is text behind the end of the JSON array")]
    [DataRow("{\n\"q\":\"a\"}\n{\n\"q\":\"b\"", "line 3: what begins here has no end")]
    [DataRow("{\n\"q\":\"a\"}\n}", "line 3: the value that begins here is not valid JSON")]
    [DataRow("{\n\"q\":\"a\"}\n,{\n\"q\":\"b\"}", "line 3: the value that begins here is not valid JSON at its byte 1")]
    public void Case19WhatIsWrongThereIsNamed(string text, string what)
    {
        using var folder = new TemporaryFolder();
        string path = Write(folder, Encoding.UTF8.GetBytes(text));
        IDataView data = _mlContext.Data.LoadFromJsonLines(path, "q");

        string message = Assert.ThrowsExactly<InvalidDataException>(() => Column(data, "q")).Message;

        Assert.Contains(what, message);
        Assert.Contains(path, message);
    }

    [TestMethod]
    public void Case19AnEmptyArrayHasNoRows()
    {
        using var folder = new TemporaryFolder();
        string path = Write(folder, " [ ] "u8.ToArray());

        Assert.IsEmpty(Column(_mlContext.Data.LoadFromJsonLines(path, "q"), "q"));
        Assert.Contains("has no rows", Assert.ThrowsExactly<InvalidDataException>(() => _mlContext.Data.LoadFromJsonLines(path)).Message);
    }

    public static IEnumerable<object[]> OtherKinds =>
    [
        [Gzip(), "gzip", "Unpack"],
        [Zip(), "zip archive", "Unpack"],
        ["PAR1\u0015\u0004"u8.ToArray(), "Parquet", "lines=True"],
        ["ARROW1\0\0"u8.ToArray(), "Arrow", "lines=True"],
        [Encoding.Unicode.GetPreamble().Concat(Encoding.Unicode.GetBytes("{\"q\":\"a\"}")).ToArray(), "UTF-16", "UTF-8"],
        [Encoding.BigEndianUnicode.GetPreamble().Concat(Encoding.BigEndianUnicode.GetBytes("{\"q\":\"a\"}")).ToArray(), "UTF-16", "UTF-8"],
        [Encoding.Unicode.GetBytes("{\"q\":\"a\"}"), "UTF-16", "UTF-8"],
        [Encoding.BigEndianUnicode.GetBytes("[{\"q\":\"a\"}]"), "UTF-16", "UTF-8"],
        [Encoding.UTF32.GetPreamble().Concat(Encoding.UTF32.GetBytes("{}")).ToArray(), "UTF-32", "UTF-8"],
        ["q,r\na,1\n"u8.ToArray(), "commas", "LoadFromTextFile"],
        ["\uFEFF\"q\",\"r\"\n\"a\",\"1\"\n"u8.ToArray(), "commas", "LoadFromTextFile"],
        ["q;r\r\na;1\r\n"u8.ToArray(), "semicolons", "LoadFromTextFile"],
        ["q\tr\na\t1\n"u8.ToArray(), "tabs", "LoadFromTextFile"],
        ["<!DOCTYPE html><html>"u8.ToArray(), "HTML", "Fetch"],
        ["version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"u8.ToArray(), "Git LFS pointer", "git lfs pull"],
        ["- q: a\n  r: 1\n"u8.ToArray(), "YAML", "JSON lines"],
        ["SQLite format 3\0"u8.ToArray(), "SQLite", "JSON lines"],
        [new byte[] { 0x80, 4, 0x95, 1, 0, 0, 0 }, "pickle", "JSON lines"],
        ["Rar!\u001A\a"u8.ToArray(), "RAR archive", "Unpack"],
        ["Entry not found"u8.ToArray(), "server's answer", "Fetch"],
        [new byte[200], "zeros", "Fetch"],
    ];

    [TestMethod]
    [DynamicData(nameof(OtherKinds))]
    public void Case19OtherKindsOfFilesAreCalledByTheirName(byte[] content, string kind, string remedy)
    {
        using var folder = new TemporaryFolder();
        string path = Write(folder, content);

        foreach (string[] columns in new[] { Array.Empty<string>(), ["q"] })
        {
            string message = Assert.ThrowsExactly<InvalidDataException>(() => _mlContext.Data.LoadFromJsonLines(path, columns)).Message;

            Assert.StartsWith($"'{path}' does not hold JSON. This looks like", message);
            Assert.Contains(kind, message);
            Assert.Contains(remedy, message);
        }
    }

    private static byte[] Gzip()
    {
        using var bytes = new MemoryStream();
        using (var gzip = new GZipStream(bytes, CompressionMode.Compress))
        {
            gzip.Write("{\"q\":\"a\"}\n"u8);
        }

        return bytes.ToArray();
    }

    private static byte[] Zip()
    {
        using var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            zip.CreateEntry("data.jsonl");
        }

        return bytes.ToArray();
    }

    private static string[] Column(IDataView data, string name) => [.. data.GetColumn<string>(name)];

    private static string Write(TemporaryFolder folder, byte[] content)
    {
        string path = folder.File("data.json");
        File.WriteAllBytes(path, content);
        return path;
    }
}
