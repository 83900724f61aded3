using System.Text.Json;
using Microsoft.ML.Sorsa.Evaluation.Graders;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>What lm-eval and the paper's authors cut out of 194 texts: golden/graders/extraction.jsonl.</summary>
[TestClass]
[TestCategory("Graders")]
public sealed class MathExtractionTests
{
    private static readonly Dictionary<string, Func<string, string?>> s_fields = new(StringComparer.Ordinal)
    {
        ["last_boxed"] = BoxedAnswer.LastOfLmEval,
        ["removed"] = text => BoxedAnswer.InsideOfLmEval(BoxedAnswer.LastOfLmEval(text)),
        ["authors_last_boxed"] = BoxedAnswer.LastOfAuthors,
        ["authors_removed"] = text => BoxedAnswer.InsideOfAuthors(BoxedAnswer.LastOfAuthors(text)),
        ["authors_math_answer"] = MathAnswer.OfAuthors,
        ["minerva_answer"] = MathAnswer.OfMinerva,
        ["hendrycks_dollar_answer"] = MathAnswer.BetweenDollars,
    };

    public static IEnumerable<object[]> Fields => s_fields.Keys.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Fields))]
    public void TheAnswerIsCutOutAsUpstreamDoes(string field)
    {
        JsonElement[] rows = GoldenGrading.Read("extraction.jsonl");

        for (int first = 0; first < rows.Length; first += 50)
        {
            GoldenGrading.AssertBlock(rows, first, _ => false, row => (row.Text(field), s_fields[field](row.Text("text")!)));
        }
    }
}
