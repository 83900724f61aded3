using Microsoft.ML;
using Microsoft.ML.Sorsa;

namespace QuickStart;

/// <summary>A model.zip of an earlier run: the test rows, or questions from the keyboard.</summary>
internal static class AskSavedModel
{
    public static int Run(Settings settings)
    {
        var mlContext = new MLContext();
        using SorsaTransformer model = mlContext.Sorsa().LoadZip(settings.Model);
        if (settings.Interactive)
        {
            Conversation.Run(model);
            return 0;
        }

        IReadOnlyList<Question> test = TaskData.Load(mlContext, settings).Test;
        IDataView data = mlContext.Data.LoadFromEnumerable(test);
        Answers answers = Answers.Of(model, mlContext.Transforms.CopyColumns(settings.PromptColumn, nameof(Question.Prompt)).Fit(data)
            .Transform(data), test, "saved model");
        Console.WriteLine($"{settings.Model}: {answers.Score}");
        return 0;
    }
}
