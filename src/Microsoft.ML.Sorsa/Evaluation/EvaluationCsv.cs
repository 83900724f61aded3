using System.Globalization;
using System.Text;

namespace Microsoft.ML.Sorsa.Evaluation;

/// <summary>The rows of an evaluation as RFC 4180 has them: a line each, what holds a comma, a quote or a line break in quotes.</summary>
internal static class EvaluationCsv
{
    private static readonly string[] s_header = ["row", "verdict", "extracted", "gold", "text", "reference", "problem"];

    public static void Write(Stream stream, IReadOnlyList<EvaluatedAnswer> answers)
    {
        using var writer = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true);
        Line(s_header);
        foreach (EvaluatedAnswer answer in answers)
        {
            Line(
                answer.Row.ToString(CultureInfo.InvariantCulture), Verdict(answer), answer.Graded?.Extracted ?? "",
                answer.Graded?.Gold ?? "", answer.Text, answer.Gold, answer.Problem ?? "");
        }

        void Line(params string[] fields)
        {
            writer.Write(string.Join(',', fields.Select(Field)));
            writer.Write("\r\n");
        }
    }

    /// <summary>right, wrong or failed.</summary>
    public static string Verdict(EvaluatedAnswer answer) => answer.Graded switch
    {
        null => "failed",
        { Correct: true } => "right",
        _ => "wrong",
    };

    private static string Field(string text) =>
        text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
