using Microsoft.ML;
using Microsoft.ML.Sorsa;

namespace QuickStart;

/// <summary>The rows to train on and the rows to ask; none is in both.</summary>
internal static class TaskData
{
    private const int TestSeed = 1;
    private const int TrainSeed = 2;

    public static (IReadOnlyList<Question> Train, IReadOnlyList<Question> Test) Load(MLContext mlContext, Settings settings)
    {
        if (settings.Train is null)
        {
            return Generate(settings);
        }

        IReadOnlyList<Question> train = Read(settings.Train);
        if (settings.Test is not null)
        {
            return ([.. train.Take(settings.Rows)], [.. Read(settings.Test).Take(settings.TestRows)]);
        }

        // The last rows of the file are kept for asking.
        int asked = Math.Min(settings.TestRows, train.Count / 2);
        return ([.. train.SkipLast(asked).Take(settings.Rows)], [.. train.TakeLast(asked)]);

        IReadOnlyList<Question> Read(string path) => Question.Read(
            mlContext.Data.LoadFromJsonLines(path, settings.PromptColumn, settings.ResponseColumn), settings.PromptColumn,
            settings.ResponseColumn);
    }

    private static (IReadOnlyList<Question> Train, IReadOnlyList<Question> Test) Generate(Settings settings)
    {
        ArithmeticTask task = ArithmeticTask.Load(Settings.BundledModel);
        IReadOnlyList<(string Question, string Answer)> test = task.Draw(settings.TestRows, TestSeed);
        HashSet<string> asked = [.. test.Select(row => row.Question)];
        return (ToQuestions(task.Draw(settings.Rows, TrainSeed, asked)), ToQuestions(test));

        static IReadOnlyList<Question> ToQuestions(IEnumerable<(string Question, string Answer)> rows) =>
            [.. rows.Select(row => new Question(row.Question, row.Answer))];
    }
}
