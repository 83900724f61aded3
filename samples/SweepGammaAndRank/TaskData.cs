using Microsoft.ML;
using Microsoft.ML.Sorsa;
using QuickStart;

namespace SweepGammaAndRank;

/// <summary>Rows to train on and rows to compare the trials by; none is in both.</summary>
internal static class TaskData
{
    private const int ValidationSeed = 3;
    private const int TrainSeed = 2;

    public static (IDataView Train, IDataView Validation) Load(MLContext mlContext, Settings settings)
    {
        if (settings.Train is not null)
        {
            IDataView all = mlContext.Data.LoadFromJsonLines(settings.Train, "question", "answer");
            IDataView renamed = mlContext.Transforms.CopyColumns("Prompt", "question")
                .Append(mlContext.Transforms.CopyColumns("Response", "answer"))
                .Fit(all).Transform(all);
            return (
                mlContext.Data.TakeRows(mlContext.Data.SkipRows(renamed, settings.ValidationRows), settings.Rows),
                mlContext.Data.TakeRows(renamed, settings.ValidationRows));
        }

        ArithmeticTask task = ArithmeticTask.Load(Settings.BundledModel);
        IReadOnlyList<(string Question, string Answer)> validation = task.Draw(settings.ValidationRows, ValidationSeed);
        HashSet<string> looked = [.. validation.Select(row => row.Question)];
        return (View(task.Draw(settings.Rows, TrainSeed, looked)), View(validation));

        IDataView View(IEnumerable<(string Question, string Answer)> rows) =>
            mlContext.Data.LoadFromEnumerable(rows.Select(row => new Row { Prompt = row.Question, Response = row.Answer }));
    }

    private sealed class Row
    {
        public string Prompt { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
