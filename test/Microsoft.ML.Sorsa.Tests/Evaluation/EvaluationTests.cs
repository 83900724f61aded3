using System.Globalization;
using System.Xml.Linq;
using Microsoft.ML;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Tests.Surface;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

[TestClass]
[TestCategory("Evaluation")]
public sealed class EvaluationTests
{
    private readonly MLContext _mlContext = new();

    /// <summary>
    /// The two ends are the solutions of (p − x)² = z² x (1 − x) / n: the shares of which p is just within z standard deviations.
    /// </summary>
    [TestMethod]
    [DataRow(0, 1)]
    [DataRow(1, 1)]
    [DataRow(0, 200)]
    [DataRow(200, 200)]
    [DataRow(1, 3)]
    [DataRow(137, 200)]
    [DataRow(5, 1319)]
    public void TheIntervalEndsWhereTheShareIsJustLikely(int right, int count)
    {
        (double lower, double upper) = WilsonInterval.Of(right, count);

        double share = (double)right / count;
        foreach (double end in new[] { lower, upper })
        {
            Assert.IsTrue(end is >= 0 and <= 1, $"{end}");
            Assert.AreEqual(
                Math.Pow(share - end, 2), 1.959963984540054 * 1.959963984540054 * end * (1 - end) / count, 1e-12);
        }

        Assert.IsTrue(lower <= share && share <= upper && lower < upper);
    }

    /// <summary>Counted by hand; a row that cannot be judged counts for nothing and ends nothing.</summary>
    [TestMethod]
    public void EveryRowHasItsVerdictOrItsProblem()
    {
        SorsaEvaluation evaluation = _mlContext.Sorsa().Evaluate(
            Data(("it is 5", "5"), ("it is 6", "5"), ("none", "7"), ("8", "eight"), ("9", " "), ("10", "10.0")), AnswerGraders.LastNumber);

        Assert.AreEqual(
            "True False False null null True",
            string.Join(' ', evaluation.Answers.Select(answer => answer.Graded?.Correct.ToString() ?? "null")));
        Assert.AreEqual((2, 4, 2), (evaluation.Correct, evaluation.Graded, evaluation.Failed));
        Assert.AreEqual(0.5, evaluation.Accuracy);
        Assert.AreEqual(WilsonInterval.Of(2, 4), evaluation.Interval);
        CollectionAssert.AreEqual(Enumerable.Range(1, 6).ToArray(), evaluation.Answers.Select(answer => answer.Row).ToArray());
        Assert.Contains("eight", evaluation.Answers[3].Problem!);
        Assert.AreEqual("there is no reference.", evaluation.Answers[4].Problem);
        Assert.IsNull(evaluation.GenerationTime);
        Assert.StartsWith("last-number: 2 of 4 right, 50.0", evaluation.ToString().Replace(" ", " ", StringComparison.Ordinal));
        Assert.Contains("row 4: ", evaluation.ToString());
    }

    [TestMethod]
    public void AGraderThatThrowsFailsItsRowsAlone()
    {
        SorsaEvaluation evaluation = _mlContext.Sorsa().Evaluate(Data(("fine", "x"), ("throw", "x"), ("fine", "x")), new Throwing());

        Assert.AreEqual((2, 2, 1), (evaluation.Correct, evaluation.Graded, evaluation.Failed));
        Assert.AreEqual("the grader throwing threw NotSupportedException: not this one", evaluation.Answers[1].Problem);

        SorsaEvaluation none = _mlContext.Sorsa().Evaluate(Data(("throw", "x")), new Throwing());
        Assert.IsTrue(double.IsNaN(none.Accuracy) && double.IsNaN(none.Interval.Lower));
        Assert.AreEqual(0, none.Graded);
    }

    [TestMethod]
    public void WhatIsMissingIsSaidBeforeAnyWork()
    {
        SorsaCatalog sorsa = _mlContext.Sorsa();
        using SorsaTransformer model = sorsa.LoadModel(TestData.TinyLlama, outputColumnName: "Response");
        IDataView data = Data(("5", "5"));

        IAnswerGrader grader = AnswerGraders.LastNumber;
        Assert.Contains(
            "'Missing', which goldColumnName names", Message(() => sorsa.Evaluate(data, grader, goldColumnName: "Missing")));
        Assert.Contains("'No', which answerColumnName names", Message(() => sorsa.Evaluate(data, AnswerGraders.LastNumber, "No")));
        Assert.Contains("goldColumnName is 'Response'", Message(() => sorsa.Evaluate(model, data, AnswerGraders.LastNumber)));
        Assert.Contains("no rows", Message(() => sorsa.Evaluate(Data(), AnswerGraders.LastNumber)));
        Assert.ThrowsExactly<ArgumentNullException>(() => sorsa.Evaluate(data, null!));

        static string Message(Action act) => Assert.Throws<ArgumentException>(act).Message;
    }

    /// <summary>What the model answers here is what it answers in Transform.</summary>
    [TestMethod]
    public void AModelIsJudgedByItsOwnReplies()
    {
        using SorsaTransformer model = TinyTask.Fit(_mlContext);
        IDataView data = TinyTask.Data(_mlContext);
        string[] replies = TinyTask.Answers(model, data);

        SorsaEvaluation evaluation = _mlContext.Sorsa().Evaluate(model, data, AnswerGraders.LastNumber);
        SorsaEvaluation same = _mlContext.Sorsa().Evaluate(model.Transform(data), AnswerGraders.LastNumber);

        CollectionAssert.AreEqual(replies, evaluation.Answers.Select(answer => answer.Text).ToArray());
        CollectionAssert.AreEqual(same.Answers.ToArray(), evaluation.Answers.ToArray());
        Assert.IsNotNull(evaluation.GenerationTime);
        Assert.HasCount(TinyTask.Rows.Length, evaluation.Answers);
    }

    /// <summary>Read back by a reader of RFC 4180 that knows nothing of the writer.</summary>
    [TestMethod]
    public void TheCsvHoldsEveryRow()
    {
        using var folder = new TemporaryFolder();
        SorsaEvaluation evaluation = _mlContext.Sorsa().Evaluate(
            Data(("a \"quoted\", 5\r\nsecond line", "5"), ("ümläut 😀 6", "x")), AnswerGraders.LastNumber);

        evaluation.SaveCsv(folder.File("rows.csv"));

        string[][] rows = Csv(File.ReadAllText(folder.File("rows.csv")));
        Assert.HasCount(3, rows);
        Assert.IsTrue(rows.All(row => row.Length == 7));
        string[] first = ["1", "right", "5", "5", "a \"quoted\", 5\r\nsecond line", "5", ""];
        CollectionAssert.AreEqual(first, rows[1]);
        Assert.AreEqual("failed", rows[2][1]);
        Assert.AreEqual(evaluation.Answers[1].Problem, rows[2][6]);
    }

    /// <summary>Text from a model is text in the page, whatever it holds.</summary>
    [TestMethod]
    public void ThePageIsWholeWhateverAModelWrote()
    {
        using var folder = new TemporaryFolder();
        string text = "<script>alert(1)</script> & \u0001 \ud800 5";
        SorsaEvaluation evaluation = _mlContext.Sorsa().Evaluate(Data((text, "5"), ("6", "5"), ("7", "x")), AnswerGraders.LastNumber);

        evaluation.SaveReport(folder.File("page.html"));

        string page = File.ReadAllText(folder.File("page.html"));
        Assert.StartsWith("<!DOCTYPE html>\n", page);
        XElement html = XElement.Parse(page["<!DOCTYPE html>\n".Length..], LoadOptions.PreserveWhitespace);
        Assert.IsEmpty(html.Descendants("script").ToArray());
        Assert.Contains("<script>alert(1)</script> & \uFFFD \uFFFD 5", html.Descendants("pre").Select(pre => pre.Value).ToArray());
        Assert.AreEqual("failed wrong right", string.Join(' ', html.Descendants("article").Select(row => row.Attribute("class")!.Value)));
    }

    private IDataView Data(params (string Reply, string Response)[] rows) => _mlContext.Data.LoadFromEnumerable(
        rows.Select(row => new Judged { Prompt = "?", Reply = row.Reply, Response = row.Response }).ToArray());

    private static string[][] Csv(string text)
    {
        var rows = new List<string[]>();
        var fields = new List<string>();
        for (int at = 0; at < text.Length;)
        {
            string field = "";
            if (text[at] == '"')
            {
                for (at++; text[at] != '"' || (at + 1 < text.Length && text[at + 1] == '"'); at++)
                {
                    field += text[at];
                    at += text[at] == '"' ? 1 : 0;
                }

                at++;
            }
            else
            {
                for (; text[at] is not (',' or '\r'); at++)
                {
                    field += text[at];
                }
            }

            fields.Add(field);
            if (text[at] == '\r')
            {
                rows.Add([.. fields]);
                fields.Clear();
                at++;
            }

            at++;
        }

        return [.. rows];
    }

    private sealed class Judged
    {
        public string Prompt { get; set; } = "";

        public string Reply { get; set; } = "";

        public string Response { get; set; } = "";
    }

    private sealed class Throwing : IAnswerGrader
    {
        public string Name => "throwing";

        public GradedAnswer Grade(string text, string gold) =>
            text == "throw" ? throw new NotSupportedException("not this one") : new GradedAnswer(true, text, gold);
    }
}
