using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Training;

(string modelFolder, string csvFile) = (args[0], args[1]);
var mlContext = new MLContext(seed: 0);
mlContext.Log += (_, message) =>
{
    if (message.Kind == ChannelMessageKind.Warning)
    {
        Console.WriteLine($"warning: {message.RawMessage}");
    }
};

IDataView table = mlContext.Data.LoadFromTextFile<Row>(csvFile, new TextLoader.Options
{
    Separators = [','],
    HasHeader = true,
    AllowQuoting = true,       // "a cell, with a comma"
    ReadMultilines = true,     // a cell of several lines, in quotes
});
var toPrompt = mlContext.Transforms
    .Expression("Prompt", """(story, question) => concat(story, " ", question)""", "Story", "Question")
    .Fit(table);
IDataView rows = toPrompt.Transform(table);

// A tenth of the rows is not trained on: the loss on them says when the model is best, and their answers how good it is.
DataOperationsCatalog.TrainTestData share = mlContext.Data.TrainTestSplit(rows, testFraction: 0.1, seed: 0);

SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(new SorsaFineTuningTrainer.Options
{
    ModelFolder = modelFolder,
    PromptColumnName = "Prompt",
    ResponseColumnName = "Answer",
    PromptTemplate = PromptTemplate.Alpaca,
    NumberOfEpochs = 4,
    Generation = new GenerationOptions { MaxNewTokens = 72 },
    Progress = new Steps(),
});
using SorsaTransformer model = trainer.Fit(share.TrainSet, share.TestSet);

Console.WriteLine(model.Generate("Mia has 12 apples. She buys 5 more. How many apples does she have now?"));

IDataView answered = model.Transform(mlContext.Data.TakeRows(share.TestSet, 3));
foreach ((string answer, string reply) in answered.GetColumn<string>("Answer").Zip(answered.GetColumn<string>("Reply")))
{
    Console.WriteLine($"should be: {answer.ReplaceLineEndings(" / ")}");
    Console.WriteLine($"       is: {reply.ReplaceLineEndings(" / ")}");
}

model.Save("model.zip");
using (SorsaTransformer loaded = mlContext.Sorsa().LoadZip("model.zip"))
{
    Console.WriteLine(loaded.Generate("Tom has 9 marbles. He loses 4. How many marbles are left?"));
}

var chain = new TransformerChain<ITransformer>(toPrompt, model);
mlContext.Sorsa().SaveZip(chain, table.Schema, "pipeline.zip");

ITransformer pipeline = mlContext.Model.Load("pipeline.zip", out _);
var keepPipeline = new PredictionEngineOptions { OwnsTransformer = false };
using (var engine = mlContext.Model.CreatePredictionEngine<Row, Prediction>(pipeline, keepPipeline))
{
    var row = new Row { Story = "Tom has 9 marbles. He loses 4.", Question = "How many marbles are left?" };
    Console.WriteLine(engine.Predict(row).Reply);
}

(pipeline as IDisposable)?.Dispose();

/// <summary>A row of the file: the columns by their places.</summary>
internal sealed class Row
{
    [LoadColumn(0)]
    public string Story { get; set; } = "";

    [LoadColumn(1)]
    public string Question { get; set; } = "";

    [LoadColumn(2)]
    public string Answer { get; set; } = "";
}

/// <summary>What is asked of the pipeline: its output column.</summary>
internal sealed class Prediction
{
    public string Reply { get; set; } = "";
}

/// <summary>Called on the thread that trains, so that the lines come in order; .NET's Progress calls from other threads.</summary>
internal sealed class Steps : IProgress<SorsaTrainingProgress>
{
    public void Report(SorsaTrainingProgress value)
    {
        if (value.Step % 10 == 0 || value.ValidationLoss is not null)
        {
            Console.WriteLine($"step {value.Step} of {value.TotalSteps}: loss {value.Loss:F3}  validation {value.ValidationLoss:F3}");
        }
    }
}
