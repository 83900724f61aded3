using Microsoft.ML;
using Microsoft.ML.Sorsa;

namespace QuickStart;

/// <summary>A model.zip of an earlier run: the test rows, or questions from the keyboard.</summary>
internal static class AskSavedModel
{
    public static int Run(Settings settings)
    {
        var mlContext = new MLContext();
        if (mlContext.Model.Load(settings.Model, out _) is not SorsaTransformer model)
        {
            throw new InvalidDataException(
                $"'{settings.Model}' is an ML.NET model, but none of a single SorsaTransformer. Name a model.zip that QuickStart saved.");
        }

        using (model)
        {
            if (settings.Interactive)
            {
                Conversation.Run(model);
                return 0;
            }

            IReadOnlyList<Question> test = TaskData.Load(mlContext, settings).Test;
            Directory.CreateDirectory(settings.Out);
            string testFile = Path.Combine(settings.Out, "quickstart-test.jsonl");
            Question.Write(testFile, test, settings.PromptColumn, settings.ResponseColumn);
            Answers answers = Answers.Of(model, mlContext.Data.LoadFromJsonLines(testFile), test, "saved model");
            Console.WriteLine($"{settings.Model}: {answers.Score}");
            return 0;
        }
    }
}
