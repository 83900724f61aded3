using System.Text;
using Microsoft.ML.Sorsa.Tool;
using Microsoft.ML.Sorsa.Tool.Inputs;

namespace Microsoft.ML.Sorsa.Tests.Tool;

/// <summary>Tables as spreadsheets and pandas write them.</summary>
[TestClass]
[TestCategory("Tool")]
public sealed class CsvReaderTests
{
    [TestMethod]
    [DataRow("a,b\n1,2\n", "a|b/1|2")]
    [DataRow("a,b\r\n1,2", "a|b/1|2")]
    [DataRow("\uFEFFa,b\n1,2\n", "a|b/1|2")]
    [DataRow("a;b\n1,5;2\n", "a|b/1,5|2")]
    [DataRow("a,b\n\"x, y\",\"say \"\"hi\"\"\"\n", "a|b/x, y|say \"hi\"")]
    [DataRow("a,b\n\"two\nlines\",2\n\n3,\n", "a|b/two\nlines|2/3|")]
    [DataRow("a,b\nin\"side,2\n", "a|b/in\"side|2")]
    public void CellsAreReadAsTheyAreMeant(string text, string expected)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("table.csv"), text);

        string[][] rows = [.. CsvReader.Read(folder.File("table.csv"))];

        Assert.AreEqual(expected, string.Join('/', rows.Select(row => string.Join('|', row))));
    }

    /// <summary>What is no text is said wherever it stands, also behind what looks one letter ahead, at the end of a buffer.</summary>
    [TestMethod]
    [DataRow("\"")]
    [DataRow("\r")]
    public void WhatIsNoTextIsSaid(string before)
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("table.csv");
        const string Header = "a\n\"";
        for (int buffer = 1024; buffer <= 8192; buffer *= 2)
        {
            string cell = Header + new string('x', buffer - Header.Length - 1);
            cell = before == "\r" ? cell.Replace("\"", "x", StringComparison.Ordinal) : cell;
            File.WriteAllBytes(file, [.. Encoding.UTF8.GetBytes(cell + before), 0xE4, .. new byte[buffer]]);

            CommandException error = Assert.ThrowsExactly<CommandException>(() => CsvReader.Read(file).Count());

            Assert.AreEqual(ExitCode.Input, error.ExitCode);
            Assert.Contains(file, error.Message);
        }
    }

    [TestMethod]
    public void TabsAreThoseOfTsv()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("table.tsv"), "a\tb,c\n1\t2\n");

        string[][] rows = [.. CsvReader.Read(folder.File("table.tsv"))];

        Assert.AreEqual("a|b,c", string.Join('|', rows[0]));
    }
}
