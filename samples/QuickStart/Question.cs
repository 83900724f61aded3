using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace QuickStart;

/// <summary>A row, as it stands in the output folder's train.jsonl and test.jsonl.</summary>
internal sealed record Question(string Prompt, string Response)
{
    public static void Write(string path, IEnumerable<Question> rows) =>
        File.WriteAllLines(path, rows.Select(row => JsonSerializer.Serialize(row)));

    public static IReadOnlyList<Question> Read(IDataView data, string promptColumn, string responseColumn) =>
        [.. data.GetColumn<string>(promptColumn)
            .Zip(data.GetColumn<string>(responseColumn), (prompt, response) => new Question(prompt, response))];

    /// <summary>Whether an answer is right: the number after "#### " where the response has one, otherwise the whole text.</summary>
    public bool IsRight(string answer) => Final(answer) == Final(Response);

    private static string Final(string text) => ArithmeticTask.FinalAnswer(text) ?? text.Trim();
}
