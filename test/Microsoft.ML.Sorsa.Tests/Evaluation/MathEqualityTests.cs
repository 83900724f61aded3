using System.Text.Json;
using Microsoft.ML.Sorsa.Evaluation.Graders;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>Other programs' verdicts on 1,209 pairs of answers to MATH: golden/graders/math.jsonl.</summary>
[TestClass]
[TestCategory("Graders")]
public sealed class MathEqualityTests
{
    private static readonly Lazy<JsonElement[]> s_rows = new(() => GoldenGrading.Read("math.jsonl"));

    private static readonly Dictionary<string, Func<string, string, bool>> s_graders = new(StringComparer.Ordinal)
    {
        ["hendrycks_is_equiv"] = HendrycksNormalization.AreEqual,
        ["minerva_normalised_equal"] = (prediction, gold) =>
            MinervaNormalization.Normalise(prediction) == MinervaNormalization.Normalise(gold),
        ["minerva_is_equiv"] = MinervaMathGrader.AreEqual,
        ["authors_math_equal"] = new AuthorsMathEqual(readsLatex: true).AreEqual,
        ["authors_math_equal_no_antlr"] = new AuthorsMathEqual(readsLatex: false).AreEqual,
        ["authors_is_equiv"] = (prediction, gold) => new AuthorsMathEqual(readsLatex: true).AreEquivalent(gold, prediction),
        ["authors_is_equiv_no_antlr"] = (prediction, gold) => new AuthorsMathEqual(readsLatex: false).AreEquivalent(gold, prediction),
    };

    public static IEnumerable<object[]> Cases =>
        from block in GoldenGrading.Blocks("math.jsonl") from grader in s_graders.Keys select new object[] { grader, block[0] };

    public static IEnumerable<object[]> Blocks => GoldenGrading.Blocks("math.jsonl");

    /// <summary>
    /// Every row that upstream answered. One row is left out of some columns: 9^(9^9) did not finish there. And the authors' is_equiv
    /// calls any pair equal of which it cannot normalise a side; these rows have a test of their own.
    /// </summary>
    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void TheVerdictIsThatOfUpstream(string grader, int first) => GoldenGrading.AssertBlock(
        s_rows.Value, first,
        row => row.Verdict(grader) is null || (grader.StartsWith("authors_is_equiv", StringComparison.Ordinal) && HasTheFault(row)),
        row => ($"{row.Verdict(grader)}", $"{s_graders[grader](row.Text("prediction")!, row.Text("gold")!)}"));

    /// <summary>
    /// The authors compare the reference with itself where a side cannot be normalised: 7/x is right against 12. Here such pairs are
    /// compared as they stand, which calls equal only those that are the same text.
    /// </summary>
    [TestMethod]
    public void WhatTheAuthorsCannotNormaliseIsComparedAsText()
    {
        JsonElement[] faulty = [.. s_rows.Value.Where(HasTheFault)];
        Assert.IsNotEmpty(faulty);

        foreach (JsonElement row in faulty)
        {
            string prediction = row.Text("prediction")!, gold = row.Text("gold")!;
            Assert.IsTrue(row.Verdict("authors_is_equiv"), prediction);
            Assert.AreEqual(prediction == gold, new AuthorsMathEqual(readsLatex: true).AreEquivalent(gold, prediction), prediction);
            Assert.AreEqual(prediction == gold, new AuthorsMathEqual(readsLatex: false).AreEquivalent(gold, prediction), prediction);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Blocks))]
    public void HendrycksNormalisationIsLmEvals(int first) =>
        AssertNormalised(first, "hendrycks_stripped", HendrycksNormalization.TryNormalise);

    [TestMethod]
    [DynamicData(nameof(Blocks))]
    public void MinervasNormalisationIsLmEvals(int first) =>
        AssertNormalised(first, "minerva_normalised", MinervaNormalization.Normalise);

    /// <summary>Null in the file: normalising raised.</summary>
    private static void AssertNormalised(int first, string column, Func<string, string?> normalise) => GoldenGrading.AssertBlock(
        s_rows.Value, first, _ => false,
        row =>
        {
            JsonElement both = row.GetProperty(column);
            string?[] found = [normalise(row.Text("prediction")!), normalise(row.Text("gold")!)];
            return (JsonSerializer.Serialize(new[] { both[0].GetString(), both[1].GetString() }), JsonSerializer.Serialize(found));
        });

    private static bool HasTheFault(JsonElement row) =>
        row.GetProperty("hendrycks_stripped").EnumerateArray().Any(side => side.ValueKind == JsonValueKind.Null);
}
