using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Evaluation.Graders;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// How many verdicts of other programs the graders reach, and how fast: <c>graders [folder of golden rows] [--show]</c>. Each line: a
/// column of the rows, the verdicts that are equal, those that the other program gave at all, and the time of 10,000 gradings.
/// With <c>--show</c>, every pair that is judged otherwise.
/// </summary>
internal static class GraderAgreement
{
    private const int Gradings = 10_000;

    private static readonly (string Column, Func<string, string, bool> AreEqual)[] s_equalities =
    [
        ("hendrycks_is_equiv", HendrycksNormalization.AreEqual),
        ("minerva_is_equiv", MinervaMathGrader.AreEqual),
        ("authors_math_equal", new AuthorsMathEqual(readsLatex: true).AreEqual),
        ("authors_math_equal_no_antlr", new AuthorsMathEqual(readsLatex: false).AreEqual),
        ("authors_is_equiv", (prediction, gold) => new AuthorsMathEqual(readsLatex: true).AreEquivalent(gold, prediction)),
        ("authors_is_equiv_no_antlr", (prediction, gold) => new AuthorsMathEqual(readsLatex: false).AreEquivalent(gold, prediction)),
        ("math_verify", (prediction, gold) => MathVerifyGrader.AreEqual(gold, prediction)),
    ];

    private static readonly (string Column, IAnswerGrader Grader)[] s_numbers =
    [
        ("strict_lm_eval", AnswerGraders.Gsm8kStrict), ("flexible_lm_eval", AnswerGraders.Gsm8kFlexible),
        ("metamath", AnswerGraders.Gsm8kMetaMath),
    ];

    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["folder"], "show");
        bool shows = arguments.Has("show");
        string folder = arguments.Text("folder") ?? Path.Combine(Folders.Root, "test", "data", "golden", "graders");
        JsonElement[] numbers = Rows(Path.Combine(folder, "gsm8k.jsonl")), answers = Rows(Path.Combine(folder, "math.jsonl"));
        foreach ((string column, IAnswerGrader grader) in s_numbers)
        {
            Print(column, numbers, shows, row => (
                row.GetProperty(column).GetProperty("correct"), $"{row.GetProperty("completion")} for {row.GetProperty("gold")}",
                () => grader.Grade(Text(row, "completion"), Text(row, "gold")).Correct));
        }

        foreach ((string column, Func<string, string, bool> areEqual) in s_equalities)
        {
            Print(column, answers, shows, row => (
                row.GetProperty(column), $"{row.GetProperty("prediction")} for {row.GetProperty("gold")}",
                () => areEqual(Text(row, "prediction"), Text(row, "gold"))));
        }
    }

    private static void Print(
        string column, JsonElement[] rows, bool shows, Func<JsonElement, (JsonElement Wanted, string Pair, Func<bool> Grade)> read)
    {
        var pairs = Array.ConvertAll(rows, row => read(row));
        var answered = Array.FindAll(pairs, pair => pair.Wanted.ValueKind != JsonValueKind.Null);
        var otherwise = Array.FindAll(answered, pair => pair.Wanted.GetBoolean() != pair.Grade());
        Stopwatch time = Stopwatch.StartNew();
        for (int i = 0; i < Gradings; i++)
        {
            pairs[i % pairs.Length].Grade();
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{column,-28} {answered.Length - otherwise.Length,5} of {answered.Length,5}   {time.Elapsed.TotalSeconds,6:0.00} s"));
        foreach (var (wanted, pair, _) in shows ? otherwise : [])
        {
            Console.WriteLine($"    {pair.ReplaceLineEndings(" ")}: {wanted} there");
        }
    }

    private static JsonElement[] Rows(string path) =>
        [.. File.ReadLines(path).Select(line => JsonDocument.Parse(line).RootElement)];

    private static string Text(JsonElement row, string field) => row.GetProperty(field).GetString()!;
}
