using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace QuickStart;

/// <summary>A row: what is asked, and what the answer should be.</summary>
internal sealed record Question(string Prompt, string Response)
{
    /// <summary>JSON lines under the names of the columns that rows are read from, so that --train and --test take the file, too.</summary>
    public static void Write(string path, IEnumerable<Question> rows, string promptColumn, string responseColumn) =>
        File.WriteAllLines(path, rows.Select(row => JsonSerializer.Serialize(new Dictionary<string, string>
        {
            [promptColumn] = row.Prompt,
            [responseColumn] = row.Response,
        })));

    public static IReadOnlyList<Question> Read(IDataView data, string promptColumn, string responseColumn) =>
        [.. data.GetColumn<string>(promptColumn)
            .Zip(data.GetColumn<string>(responseColumn), (prompt, response) => new Question(prompt, response))];

    /// <summary>Whether an answer is right: the number after "#### " where the response has one, otherwise the whole text.</summary>
    public bool IsRight(string answer) => Final(answer) == Final(Response);

    private static string Final(string text) => ArithmeticTask.FinalAnswer(text) ?? text.Trim();
}
