using System.Text.Json;
using Microsoft.ML.Sorsa.Evaluation;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>lm-eval's and the paper's verdicts on 423 answers to GSM-8K: golden/graders/gsm8k.jsonl.</summary>
[TestClass]
[TestCategory("Graders")]
public sealed class Gsm8kGraderTests
{
    /// <summary>
    /// Python's own division of this row is one double above the correctly rounded quotient, which is what comes out here:
    /// test/data/golden/README.md.
    /// </summary>
    private const string WronglyRounded = "The answer is: 100000000000000000000/3";

    private static readonly Lazy<JsonElement[]> s_rows = new(() => GoldenGrading.Read("gsm8k.jsonl"));

    public static IEnumerable<object[]> Blocks => GoldenGrading.Blocks("gsm8k.jsonl");

    [TestMethod]
    [DynamicData(nameof(Blocks))]
    public void TheStrictMatchIsThatOfLmEval(int first) =>
        AssertBlock(first, AnswerGraders.Gsm8kStrict, "strict_lm_eval", none: "[invalid]");

    [TestMethod]
    [DynamicData(nameof(Blocks))]
    public void TheFlexibleExtractIsThatOfLmEval(int first) =>
        AssertBlock(first, AnswerGraders.Gsm8kFlexible, "flexible_lm_eval", none: "[invalid]");

    [TestMethod]
    [DynamicData(nameof(Blocks))]
    public void TheExtractionIsThatOfThePaper(int first) =>
        AssertBlock(first, AnswerGraders.Gsm8kMetaMath, "metamath", none: null);

    /// <summary>The authors' program stops at a denominator of zero that is written with two digits.</summary>
    [TestMethod]
    public void ADenominatorOfZeroIsNoAnswer()
    {
        GradedAnswer graded = AnswerGraders.Gsm8kMetaMath.Grade("The answer is: 10/00", "#### 10");

        Assert.AreEqual(new GradedAnswer(false, null, "10"), graded);
    }

    private static void AssertBlock(int first, IAnswerGrader grader, string column, string? none) => GoldenGrading.AssertBlock(
        s_rows.Value, first,
        row => row.GetProperty(column).Verdict("correct") is null || row.Text("completion") == WronglyRounded,
        row =>
        {
            JsonElement wanted = row.GetProperty(column);
            GradedAnswer found = grader.Grade(row.Text("completion")!, row.Text("gold")!);
            return ($"{wanted.Text("extracted")} {wanted.Verdict("correct")}", $"{found.Extracted ?? none} {found.Correct}");
        });
}
