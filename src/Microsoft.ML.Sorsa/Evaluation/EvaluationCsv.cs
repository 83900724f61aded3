using System.Globalization;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>The rows of an evaluation as lines of CSV.</summary>
internal static class EvaluationCsv
{
    /// <param name="answers">The rows.</param>
    /// <param name="hasLosses">Whether the responses' losses were asked for.</param>
    public static IEnumerable<IReadOnlyList<string>> Lines(IReadOnlyList<EvaluatedAnswer> answers, bool hasLosses)
    {
        string[] header = ["row", "verdict", "extracted", "gold", "text", "reference", "problem"], losses = ["loss", "response_tokens"];
        yield return hasLosses ? [.. header, .. losses] : header;
        foreach (EvaluatedAnswer answer in answers)
        {
            string[] line =
            [
                answer.Row.ToString(CultureInfo.InvariantCulture), Verdict(answer), answer.Graded?.Extracted ?? "",
                answer.Graded?.Gold ?? "", answer.Text, answer.Gold, answer.Problem ?? "",
            ];
            yield return !hasLosses ? line :
            [
                .. line, answer.Loss?.ToString("R", CultureInfo.InvariantCulture) ?? "",
                answer.ResponseTokens.ToString(CultureInfo.InvariantCulture),
            ];
        }
    }

    /// <summary>right, wrong, failed, or not judged: nothing.</summary>
    public static string Verdict(EvaluatedAnswer answer) => answer switch
    {
        { Graded.Correct: true } => "right",
        { Graded: not null } => "wrong",
        { Problem: not null } => "failed",
        _ => "",
    };
}
