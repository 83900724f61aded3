using Microsoft.ML;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.DataViews;

namespace Microsoft.ML.Sorsa.Tests.DataViews;

[TestClass]
[TestCategory("DataViews")]
public sealed class PromptResponseReaderTests
{
    private sealed class Row
    {
        public string Question { get; set; } = "";

        public string Answer { get; set; } = "";

        public float Number { get; set; }
    }

    private static readonly Row[] s_rows =
    [
        new() { Question = "1 + 1?", Answer = "2" },
        new() { Question = "", Answer = "naïve 🦙\n" },
        new() { Question = "last", Answer = "" },
    ];

    private static WatchedView Data => new(new MLContext(seed: 1).Data.LoadFromEnumerable(s_rows));

    [TestMethod]
    public void RowsComeInOrderAndAsOftenAsWanted()
    {
        IEnumerable<(string Prompt, string Response)> pairs = PromptResponseReader.Read(Data, "Question", "Answer");
        (string, string)[] expected = [.. s_rows.Select(row => (row.Question, row.Answer))];
        CollectionAssert.AreEqual(expected, pairs.ToArray());
        CollectionAssert.AreEqual(expected, pairs.ToArray());
    }

    [TestMethod]
    public void OnlyTheTwoColumnsAndTheRowsAskedForAreRead()
    {
        WatchedView data = Data;
        Assert.AreEqual(("1 + 1?", "2"), PromptResponseReader.Read(data, "Question", "Answer").First());
        Assert.AreEqual("Question, Answer", string.Join(", ", data.Asked.Single()));
        Assert.AreEqual(1, data.RowsRead);
    }

    [TestMethod]
    [DataRow("Prompt", "Answer", "PromptColumnName", "no column 'Prompt'")]
    [DataRow("Question", "Number", "ResponseColumnName", "'Number' is of type Single")]
    public void AWrongColumnIsAnErrorAtOnce(string prompt, string response, string option, string problem)
    {
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => { PromptResponseReader.Read(Data, prompt, response); });
        Assert.AreEqual(option, error.ParamName);
        Assert.Contains(problem, error.Message);
    }
}
