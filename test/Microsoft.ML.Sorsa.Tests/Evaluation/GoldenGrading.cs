using System.Text.Json;

namespace Microsoft.ML.Sorsa.Tests.Evaluation;

/// <summary>The rows of golden/graders: what the programs that others evaluate with said.</summary>
internal static class GoldenGrading
{
    public static JsonElement[] Read(string file) =>
    [
        .. File.ReadLines(TestData.Require(TestData.Golden("graders", file))).Select(line => JsonDocument.Parse(line).RootElement),
    ];

    /// <summary>A row's place, for <see cref="DynamicDataAttribute"/>: hundreds of rows are one test a block of fifty.</summary>
    public static IEnumerable<object[]> Blocks(string file)
    {
        string path = TestData.Golden("graders", file);
        int rows = File.Exists(path) ? File.ReadLines(path).Count() : 1;
        return Enumerable.Range(0, (rows + 49) / 50).Select(block => new object[] { block * 50 });
    }

    /// <summary>What differs in the rows from the one on, a line each.</summary>
    public static void AssertBlock(
        JsonElement[] rows, int first, Func<JsonElement, bool> isLeftOut, Func<JsonElement, (string? Wanted, string? Found)> compare)
    {
        List<string> wrong = [];
        for (int i = first; i < Math.Min(first + 50, rows.Length); i++)
        {
            if (!isLeftOut(rows[i]) && compare(rows[i]) is var (wanted, found) && wanted != found)
            {
                wrong.Add($"row {i}: '{found}' instead of '{wanted}': {rows[i]}");
            }
        }

        Assert.IsEmpty(wrong, string.Join(Environment.NewLine, wrong));
    }

    public static string? Text(this JsonElement row, string field) => row.GetProperty(field).GetString();

    /// <summary>Null where the program gave none.</summary>
    public static bool? Verdict(this JsonElement row, string field) =>
        row.GetProperty(field) is { ValueKind: not JsonValueKind.Null } verdict ? verdict.GetBoolean() : null;
}
