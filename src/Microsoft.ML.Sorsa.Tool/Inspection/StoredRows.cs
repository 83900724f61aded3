using System.Text.Json.Nodes;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tool.Inputs;

namespace Microsoft.ML.Sorsa.Tool.Inspection;

/// <summary>What files with rows hold: rows, columns, and, for a model, lengths in tokens and what would be cut.</summary>
internal static class StoredRows
{
    /// <summary>The files' columns; and of prompts and responses, where there are such columns, how long they are.</summary>
    /// <param name="session">What they are read for.</param>
    /// <param name="path">A file, or a folder of files.</param>
    /// <param name="options">The names of the columns, and a model, if it is to say lengths in tokens.</param>
    /// <param name="isAsked">Whether options are set, so that columns must be there; otherwise it is noted that they are not.</param>
    public static JsonObject Of(Session session, string path, SorsaFineTuningTrainer.Options options, bool isAsked)
    {
        string[] files = RowFile.All(path);
        IReadOnlyList<string> columns = RowFile.Columns(session.Context, files[0]);
        var json = new JsonObject
        {
            ["kind"] = "data",
            ["files"] = new JsonArray([.. files.Select(file => JsonValue.Create(Path.GetFileName(file)))]),
            ["bytes"] = files.Sum(file => new FileInfo(file).Length),
            ["columns"] = new JsonArray([.. columns.Select(column => JsonValue.Create(column))]),
            ["rows"] = RowFile.Load(session.Context, path, columns[0]).GetColumn<string>(columns[0]).LongCount(),
        };
        string[] named = [options.PromptColumnName, options.ResponseColumnName];
        if (!isAsked && !named.All(columns.Contains))
        {
            json["note"] = $"no columns '{options.PromptColumnName}' and '{options.ResponseColumnName}': "
                + "--prompt-column-name and --response-column-name name others";
            return json;
        }

        foreach (string column in named)
        {
            json[column] = Characters([.. RowFile.Load(session.Context, path, column).GetColumn<string>(column)]);
        }

        if (options.ModelFolder.Length > 0)
        {
            DataStatistics statistics = session.Sorsa.DescribeData(options, RowFile.Load(session.Context, path, named)).Train;
            json["tokens"] = Json(statistics);
        }

        return json;
    }

    private static JsonObject Characters(string[] texts) => new()
    {
        ["empty"] = texts.Count(string.IsNullOrWhiteSpace),
        ["meanCharacters"] = texts.Select(text => text.Length).DefaultIfEmpty(0).Average(),
        ["longestCharacters"] = texts.Select(text => text.Length).DefaultIfEmpty(0).Max(),
    };

    private static JsonObject Json(DataStatistics statistics) => new()
    {
        ["rowsTrained"] = statistics.Rows,
        ["duplicates"] = statistics.Duplicates,
        ["repeatedPrompts"] = statistics.RepeatedPrompts,
        ["tokens"] = statistics.Tokens,
        ["learntTokens"] = statistics.LearntTokens,
        ["prompts"] = Json(statistics.Prompts),
        ["responses"] = Json(statistics.Responses),
        ["texts"] = Json(statistics.Texts),
    };

    private static JsonObject? Json(TokenLengths? lengths) => lengths is null ? null : new JsonObject
    {
        ["shortest"] = lengths.Shortest,
        ["mean"] = lengths.Mean,
        ["median"] = lengths.Median,
        ["percentile90"] = lengths.Percentile90,
        ["percentile99"] = lengths.Percentile99,
        ["longest"] = lengths.Longest,
        ["limit"] = lengths.Limit,
        ["cutTexts"] = lengths.CutTexts,
        ["cutTokens"] = lengths.CutTokens,
    };
}
