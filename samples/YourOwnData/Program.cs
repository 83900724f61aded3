using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Training;

(string modelFolder, string csv) = (args[0], args[1]);
var mlContext = new MLContext(seed: 0);
mlContext.Log += (_, message) =>
{
    if (message.Kind == ChannelMessageKind.Warning)
    {
        Console.WriteLine(message.Message);
    }
};

IDataView table = mlContext.Data.LoadFromTextFile<Row>(csv, new TextLoader.Options
{
    Separators = [','],
    HasHeader = true,
    AllowQuoting = true,                                                      // "a cell, with a comma"
    ReadMultilines = true,                                                    // a cell with line breaks, in quotes
});
var toPrompt = mlContext.Transforms
    .Expression("Prompt", """(story, question) => concat(story, " ", question)""", "Story", "Question")
    .Fit(table);
DataOperationsCatalog.TrainTestData rows = mlContext.Data.TrainTestSplit(toPrompt.Transform(table), testFraction: 0.1, seed: 0);

var options = new SorsaFineTuningTrainer.Options
{
    ModelFolder = modelFolder,
    PromptColumnName = "Prompt",
    ResponseColumnName = "Answer",
    NumberOfEpochs = 4,
    Generation = new GenerationOptions { MaxNewTokens = 72 },
    Progress = new Steps(),
};
using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(rows.TrainSet, rows.TestSet);

Console.WriteLine(model.Generate("Mia has 12 apples. She buys 5 more. How many apples does she have now?"));
var asked = model.Transform(mlContext.Data.TakeRows(rows.TestSet, 3));
foreach (string reply in asked.GetColumn<string>("Reply"))
{
    Console.WriteLine(reply);
}

mlContext.Model.Save(model, rows.TrainSet.Schema, "model.zip");
using (var loaded = (SorsaTransformer)mlContext.Model.Load("model.zip", out _))
{
    Console.WriteLine(loaded.Generate("Tom has 9 marbles. He loses 4. How many are left?"));
}

var chain = new TransformerChain<ITransformer>(toPrompt, model);
mlContext.Model.Save(chain, table.Schema, "pipeline.zip");
ITransformer pipeline = mlContext.Model.Load("pipeline.zip", out _);
var shared = new PredictionEngineOptions { OwnsTransformer = false };
using var engine = mlContext.Model.CreatePredictionEngine<Row, Prediction>(pipeline, shared);
Console.WriteLine(engine.Predict(new Row { Story = "Tom has 9 marbles. He loses 4.", Question = "How many are left?" }).Reply);

/// <summary>A row of the file.</summary>
internal sealed class Row
{
    [LoadColumn(0)]
    public string Story { get; set; } = "";

    [LoadColumn(1)]
    public string Question { get; set; } = "";

    [LoadColumn(2)]
    public string Answer { get; set; } = "";
}

internal sealed class Prediction
{
    public string Reply { get; set; } = "";
}

internal sealed class Steps : IProgress<SorsaTrainingProgress>
{
    public void Report(SorsaTrainingProgress value)
    {
        if (value.Step % 10 == 0 || value.ValidationLoss is not null)
        {
            Console.WriteLine($"step {value.Step} of {value.TotalSteps}: loss {value.Loss:F3} {value.ValidationLoss:F3}");
        }
    }
}
