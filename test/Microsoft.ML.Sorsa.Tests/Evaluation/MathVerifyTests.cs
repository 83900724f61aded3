using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Evaluation.Graders;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>
/// math-verify's verdicts on 1,209 pairs, column math_verify of golden/graders/math.jsonl, and where it looks for an answer.
/// </summary>
[TestClass]
[TestCategory("Graders")]
public sealed class MathVerifyTests
{
    /// <summary>The least share of math-verify's verdicts that must be reached, on these rows or on others.</summary>
    private const double LeastShare = 0.97;

    /// <summary>
    /// The pairs of the repository's rows that are judged otherwise, and why: docs/graders.md, "What is not reached".
    /// </summary>
    private static readonly HashSet<(string Prediction, string Gold)> s_otherwise =
    [
        // Spelled so that math-verify does not read them; they are equal.
        (@"\sqrt[3]2", @"\sqrt[3]{2}"),
        ("2+3*i", "2+3i"),
        ("1 - 12 i", "1 - 12i"),
        ("-125%", "-125"),
        (@"(-sqrt(3), sqrt(3))", @"(-\sqrt{3}, \sqrt{3})"),
        (@"\{864 \mbox{ inches}^2\}", @"864 \mbox{ inches}^2"),
        (@"{864 \mbox{ inches}^2}", @"864 \mbox{ inches}^2"),

        // A word for a sign.
        (@"\triangle ABC", @"\text{triangle }ABC"),
    ];

    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void TheVerdictIsMathVerifysButForNamedRows()
    {
        JsonElement[] rows = GoldenGrading.Read("math.jsonl");
        bool isOwn = Environment.GetEnvironmentVariable("SORSA_GOLDEN") is null;
        int answered = 0, reached = 0;
        List<string> wrong = [];
        foreach (JsonElement row in rows)
        {
            if (row.Verdict("math_verify") is not { } wanted)
            {
                continue;
            }

            string prediction = row.Text("prediction")!, gold = row.Text("gold")!;
            bool isReached = MathVerifyGrader.AreEqual(gold, prediction) == wanted;
            answered++;
            reached += isReached ? 1 : 0;
            if (isReached == s_otherwise.Contains((prediction, gold)))
            {
                wrong.Add($"'{prediction}' for '{gold}': {!wanted}");
            }
        }

        TestContext.WriteLine(string.Create(CultureInfo.InvariantCulture, $"math_verify: {reached} of {answered}"));
        Assert.IsGreaterThanOrEqualTo(LeastShare, (double)reached / answered, string.Join(Environment.NewLine, wrong));
        Assert.IsFalse(isOwn && wrong.Count > 0, string.Join(Environment.NewLine, wrong));
    }

    /// <summary>By what stands before it; of equals the last; boxes side by side are one set.</summary>
    [TestMethod]
    [DataRow(@"So $x = 3$ and the answer is $4$.", "4")]
    [DataRow(@"First \boxed{3}. Then \boxed{4}.", "4")]
    [DataRow(@"\boxed{3} and \boxed{4}", "3, 4")]
    [DataRow(@"The final answer is $5$. I hope it is correct. \boxed{6}", "5")]
    [DataRow(@"We get \(\frac{1}{2}\) of it", @"\frac{1}{2}")]
    [DataRow("It costs 1,234 in all", "1,234")]
    [DataRow(@"\boxed{\frac{1}{2}} since $7 > 2$", @"\frac{1}{2}")]
    [DataRow("no mathematics", null)]
    [DataRow("", null)]
    public void TheAnswerIsFound(string text, string? answer) => Assert.AreEqual(answer, MathVerifyAnswer.Find(text));

    [TestMethod]
    [DataRow(@"Adding up: $\{2, 1\}$", @"The roots are \boxed{1,2}", true)]
    [DataRow(@"\boxed{0.5}", @"\boxed{\frac{1}{2}}", true)]
    [DataRow(@"\boxed{1\frac12}", @"$\frac{3}{2}$", true)]
    [DataRow(@"\boxed{(1, 2]}", @"\boxed{(1,2)}", false)]
    [DataRow(@"\boxed{x < 3}", @"\boxed{(-\infty, 3)}", false)]
    [DataRow(@"\boxed{(-\infty, 3)}", @"\boxed{x < 3}", true)]
    [DataRow(@"\boxed{2x - y = -1}", @"\boxed{y = 2x + 1}", true)]
    [DataRow(@"\boxed{4x - 2y + 2 = 0}", @"\boxed{y = 2x + 1}", true)]
    [DataRow(@"\boxed{\text{East}}", @"\boxed{\text{east}}", true)]
    [DataRow(@"\boxed{\text{seat}}", @"\boxed{\text{east}}", false)]
    [DataRow("nothing to see", @"\boxed{5}", false)]
    public void TheVerdictOfWholeTexts(string text, string gold, bool correct) =>
        Assert.AreEqual(correct, AnswerGraders.MathVerify.Grade(text, gold).Correct);
}
