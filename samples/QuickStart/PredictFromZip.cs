using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa;

namespace QuickStart;

/// <summary>The second process: any ML.NET program that is given the zip. It names no type of the model in it.</summary>
internal static class PredictFromZip
{
    public static int Run(string zip, string questions, string answers)
    {
        var mlContext = new MLContext();
        ITransformer model = mlContext.Model.Load(zip, out _);
        IDataView predictions = model.Transform(mlContext.Data.LoadFromJsonLines(questions, nameof(Question.Prompt)));
        File.WriteAllLines(answers, predictions.GetColumn<string>("Reply").Select(answer => JsonSerializer.Serialize(answer)));
        return 0;
    }
}
