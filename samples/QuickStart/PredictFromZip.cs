using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa;

namespace QuickStart;

/// <summary>The second process: any ML.NET program that is given the zip. It names no type of the model in it.</summary>
internal static class PredictFromZip
{
    /// <summary>The questions' rows with their replies, as JSON lines again.</summary>
    public static int Run(string zip, string questions, string replies)
    {
        var mlContext = new MLContext();
        ITransformer model = mlContext.Model.Load(zip, out _);
        IDataView predictions = model.Transform(mlContext.Data.LoadFromJsonLines(questions));
        DataViewSchema.Column[] columns = [.. predictions.Schema.Where(column => !column.IsHidden)];
        string[][] texts = [.. columns.Select(column => predictions.GetColumn<string>(column).ToArray())];
        File.WriteAllLines(replies, Enumerable.Range(0, texts[0].Length).Select(row => JsonSerializer.Serialize(
            columns.Select((column, i) => (column.Name, Text: texts[i][row])).ToDictionary(pair => pair.Name, pair => pair.Text))));
        return 0;
    }
}
