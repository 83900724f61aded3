using Microsoft.ML.Data;

namespace Microsoft.ML.Sorsa.DataViews;

/// <summary>Reads the two columns that fine-tuning needs out of any data.</summary>
public static class PromptResponseReader
{
    /// <summary>
    /// The rows' prompts and responses in the order of the data, one row at a time; each enumeration reads the data anew. The columns
    /// are checked at once, before the first row.
    /// </summary>
    /// <param name="data">Any data with the two columns.</param>
    /// <param name="promptColumnName">A column of text.</param>
    /// <param name="responseColumnName">A column of text.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is not there or is not text.</exception>
    public static IEnumerable<(string Prompt, string Response)> Read(IDataView data, string promptColumnName, string responseColumnName)
    {
        return Enumerate(
            data,
            TextColumns.Find(data.Schema, "PromptColumnName", promptColumnName),
            TextColumns.Find(data.Schema, "ResponseColumnName", responseColumnName));
    }

    private static IEnumerable<(string Prompt, string Response)> Enumerate(
        IDataView data, DataViewSchema.Column promptColumn, DataViewSchema.Column responseColumn)
    {
        using DataViewRowCursor cursor = data.GetRowCursor([promptColumn, responseColumn]);
        var getPrompt = cursor.GetGetter<ReadOnlyMemory<char>>(promptColumn);
        var getResponse = cursor.GetGetter<ReadOnlyMemory<char>>(responseColumn);
        ReadOnlyMemory<char> prompt = default, response = default;
        while (cursor.MoveNext())
        {
            getPrompt(ref prompt);
            getResponse(ref response);
            yield return (prompt.ToString(), response.ToString());
        }
    }
}
