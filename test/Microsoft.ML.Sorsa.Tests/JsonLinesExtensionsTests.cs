using System.Text;
using Microsoft.ML.Data;

namespace Microsoft.ML.Sorsa.Tests;

[TestClass]
[TestCategory("DataViews")]
[TestCategory("Surface")]
public sealed class JsonLinesExtensionsTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sorsa-jsonl-").FullName;
    private readonly MLContext mlContext = new(seed: 0);

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [TestMethod]
    [DataRow("{\"q\":\"a\",\"r\":\"1\"}\n{\"q\":\"b\",\"r\":\"2\"}\n", DisplayName = "line feeds")]
    [DataRow("{\"q\":\"a\",\"r\":\"1\"}\r\n{\"q\":\"b\",\"r\":\"2\"}\r\n", DisplayName = "CRLF")]
    [DataRow("{\"q\":\"a\",\"r\":\"1\"}\n{\"q\":\"b\",\"r\":\"2\"}", DisplayName = "no newline at the end")]
    [DataRow("\uFEFF{\"q\":\"a\",\"r\":\"1\"}\n{\"q\":\"b\",\"r\":\"2\"}\n", DisplayName = "byte order mark")]
    [DataRow("\uFEFF\n \t\r\n{\"q\":\"a\",\"r\":\"1\"}\n\n  \n{\"q\":\"b\",\"r\":\"2\"}\n\n\n", DisplayName = "blank lines")]
    [DataRow(" { \"r\" : \"1\", \"x\": [1,{}], \"q\" : \"a\" } \n{\"q\":\"b\",\"r\":\"2\",\"x\":null}", DisplayName = "other properties")]
    public void ReadsTheRowsInOrder(string text)
    {
        IDataView data = mlContext.Data.LoadFromJsonLines(Write(text), "q", "r");

        Assert.AreSequenceEqual(["q", "r"], data.Schema.Select(column => column.Name));
        Assert.AreSequenceEqual(["a", "b"], Column(data, "q"));
        Assert.AreSequenceEqual(["1", "2"], Column(data, "r"));
    }

    [TestMethod]
    public void WithoutNamesTheColumnsAreTheStringsOfTheFirstRow()
    {
        string path = Write("{\"q\":\"a\",\"n\":1,\"r\":\"\",\"o\":{\"s\":\"\"}}\n{\"r\":7,\"q\":\"b\"}");
        IDataView data = mlContext.Data.LoadFromJsonLines(path);

        Assert.AreSequenceEqual(["q", "r"], data.Schema.Select(column => column.Name));
        Assert.IsTrue(data.Schema.All(column => column.Type == TextDataViewType.Instance));
        Assert.AreSequenceEqual(["", "7"], Column(data, "r"));
    }

    [TestMethod]
    [DataRow("1.50", "1.50")]
    [DataRow("-2E+10", "-2E+10")]
    [DataRow("123456789012345678901234567890", "123456789012345678901234567890")]
    [DataRow("true", "true")]
    [DataRow("false", "false")]
    [DataRow("\"\\u00e9\\n\\\"\\ud83d\\ude00 é😀\"", "é\n\"😀 é😀")]
    public void AValueBecomesItsText(string json, string expected) => Assert.AreSequenceEqual(
        [expected], Column(mlContext.Data.LoadFromJsonLines(Write($"{{\"v\":{json}}}"), "v"), "v"));

    [TestMethod]
    public void LongLinesAndManyRowsAreReadWhole()
    {
        string[] expected = [.. Enumerable.Range(0, 500).Select(i => new string((char)('a' + (i % 26)), i % 50 == 49 ? 300_000 + i : i))];
        IDataView data = mlContext.Data.LoadFromJsonLines(Write(string.Join('\n', expected.Select(text => $"{{\"v\":\"{text}\"}}"))));

        Assert.AreSequenceEqual(expected, Column(data, "v"));
    }

    [TestMethod]
    public void CursorsAreIndependentAndTheFileIsReadAgain()
    {
        IDataView data = mlContext.Data.LoadFromJsonLines(Write("{\"q\":\"a\"}\n{\"q\":\"b\"}\n{\"q\":\"c\"}"));
        using DataViewRowCursor slow = data.GetRowCursor(data.Schema);
        ValueGetter<ReadOnlyMemory<char>> text = slow.GetGetter<ReadOnlyMemory<char>>(data.Schema["q"]);
        ReadOnlyMemory<char> value = default;
        Assert.IsTrue(slow.MoveNext());

        Assert.AreSequenceEqual(["a", "b", "c"], Column(data, "q"));

        Assert.IsTrue(slow.MoveNext());
        text(ref value);
        Assert.AreEqual("b", value.ToString());
        Assert.AreEqual(1, slow.Position);
        Assert.IsTrue(slow.MoveNext());
        Assert.IsFalse(slow.MoveNext());
        Assert.IsFalse(slow.MoveNext());
        Assert.IsFalse(data.CanShuffle);
        Assert.IsNull(data.GetRowCount());
        Assert.AreSequenceEqual(["a", "b", "c"], Column(data, "q"));
    }

    [TestMethod]
    public void OnlyColumnsAskedForAreReadable()
    {
        IDataView data = mlContext.Data.LoadFromJsonLines(Write("{\"q\":\"a\",\"r\":\"1\"}"));
        using DataViewRowCursor cursor = data.GetRowCursor([data.Schema["q"]]);

        Assert.IsTrue(cursor.IsColumnActive(data.Schema["q"]));
        Assert.IsFalse(cursor.IsColumnActive(data.Schema["r"]));
        Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<ReadOnlyMemory<char>>(data.Schema["r"]));
        Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<float>(data.Schema["q"]));
    }

    [TestMethod]
    public void OtherTransformsTakeIt()
    {
        string path = Write(string.Concat(Enumerable.Range(0, 100).Select(i => $"{{\"q\":\"{i}\"}}\n")));
        IDataView data = mlContext.Data.LoadFromJsonLines(path);
        string[] rows = Column(data, "q");

        Assert.AreSequenceEqual(rows, Column(mlContext.Data.Cache(data), "q"));
        Assert.AreSequenceEqual(rows[10..15], Column(mlContext.Data.TakeRows(mlContext.Data.SkipRows(data, 10), 5), "q"));
        Assert.AreSequenceEqual(rows.Order(), Column(mlContext.Data.ShuffleRows(data, seed: 1), "q").Order());
        IDataView joined = mlContext.Transforms.CopyColumns("p", "q").AppendCacheCheckpoint(mlContext).Fit(data).Transform(data);
        Assert.AreSequenceEqual(rows, Column(joined, "p"));
        DataOperationsCatalog.TrainTestData split = mlContext.Data.TrainTestSplit(data, 0.2, seed: 1);
        Assert.AreSequenceEqual(rows.Order(), Column(split.TrainSet, "q").Concat(Column(split.TestSet, "q")).Order());
    }

    [TestMethod]
    [DataRow("{\"q\":\"b\"", "line 3", "byte 9")]
    [DataRow("{\"q\":\"b\"} {\"q\":\"c\"}", "line 3", "byte 11")]
    [DataRow("{\"q\":\"b\",\"q\":\"c\"}", "line 3", "'q'")]
    [DataRow("[\"b\"]", "line 3", "array")]
    [DataRow("{\"Q\":\"b\",\"r\":1}", "line 3", "no property 'q', only 'Q', 'r'")]
    [DataRow("{\"q\":null}", "line 3", "'q' is of the JSON type null")]
    [DataRow("{\"q\":[\"b\"]}", "line 3", "'q' is of the JSON type array")]
    [DataRow("{\"q\":{\"b\":1}}", "line 3", "'q' is of the JSON type object")]
    [DataRow("{\"q\":\"\\ud83d\"}", "line 3", "'q' has an escape that is half of a surrogate pair")]
    [DataRow("{\"\\ud83d\":1,\"q\":\"b\"}", "line 3", "name has an escape that is half of a surrogate pair")]
    public void ABadRowIsNamedWithFileLineAndColumn(string bad, string line, string what)
    {
        string path = Write($"{{\"q\":\"a\"}}\n\n{bad}\n");
        IDataView data = mlContext.Data.LoadFromJsonLines(path, "q");
        AssertNames(Assert.ThrowsExactly<InvalidDataException>(() => Column(data, "q")), path, line, what);

        // In the first row it is found at once.
        path = Write(bad);
        AssertNames(Assert.ThrowsExactly<InvalidDataException>(() => mlContext.Data.LoadFromJsonLines(path, "q")), path, "line 1", what);
    }

    [TestMethod]
    public void TextThatIsNotUtf8IsNamed()
    {
        string path = Path.Combine(folder, "latin1.jsonl");
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes("{\"q\":\"a\"}\n{\"q\":\"é\"}\n"));
        IDataView data = mlContext.Data.LoadFromJsonLines(path);

        AssertNames(Assert.ThrowsExactly<InvalidDataException>(() => Column(data, "q")), path, "line 2", "UTF-8");
    }

    [TestMethod]
    public void WithoutRowsTheColumnsMustBeNamed()
    {
        string path = Write("\n \n");

        Assert.IsEmpty(Column(mlContext.Data.LoadFromJsonLines(path, "q"), "q"));
        AssertNames(Assert.ThrowsExactly<InvalidDataException>(() => mlContext.Data.LoadFromJsonLines(path)), path, "no rows", "columns");
        path = Write("{\"n\":1}");
        AssertNames(Assert.ThrowsExactly<InvalidDataException>(() => mlContext.Data.LoadFromJsonLines(path)), path, "no string", "columns");
    }

    [TestMethod]
    public void BadArgumentsAreNamed()
    {
        string missing = Path.Combine(folder, "missing.jsonl");
        Assert.Contains(missing, Assert.ThrowsExactly<FileNotFoundException>(() => mlContext.Data.LoadFromJsonLines(missing)).Message);
        Assert.ThrowsExactly<FileNotFoundException>(() => mlContext.Data.LoadFromJsonLines(folder));
        Assert.ThrowsExactly<ArgumentException>(() => mlContext.Data.LoadFromJsonLines(""));

        string path = Write("{\"q\":\"a\"}");
        Assert.ThrowsExactly<ArgumentException>(() => mlContext.Data.LoadFromJsonLines(path, "q", ""));
        Assert.Contains("'q'", Assert.ThrowsExactly<ArgumentException>(() => mlContext.Data.LoadFromJsonLines(path, "q", "q")).Message);
    }

    private static void AssertNames(Exception error, params string[] parts)
    {
        foreach (string part in parts)
        {
            Assert.Contains(part, error.Message);
        }
    }

    private static string[] Column(IDataView data, string name) => [.. data.GetColumn<string>(name)];

    private string Write(string text)
    {
        string path = Path.Combine(folder, "data.jsonl");
        File.WriteAllText(path, text, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        return path;
    }
}
