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
        IReadOnlyList<Question>? train = settings.Train is null ? null : Read(settings.Train);

        // Without a file of its own, the last rows of the training file are kept for asking.
        int asked = train is null || settings.Test is not null ? 0 : Math.Min(settings.TestRows, train.Count / 2);
        IReadOnlyList<Question> test = settings.Test is not null ? [.. Read(settings.Test).Take(settings.TestRows)]
            : train is not null ? [.. train.TakeLast(asked)]
            : Draw(settings.TestRows, TestSeed, excludedQuestions: []);
        return (train is null
            ? Draw(settings.Rows, TrainSeed, [.. test.Select(row => row.Prompt)])
            : [.. train.SkipLast(asked).Take(settings.Rows)], test);

        IReadOnlyList<Question> Read(string path) => Question.Read(
            mlContext.Data.LoadFromJsonLines(path, settings.PromptColumn, settings.ResponseColumn), settings.PromptColumn,
            settings.ResponseColumn);
    }

    private static IReadOnlyList<Question> Draw(int rows, int seed, HashSet<string> excludedQuestions) =>
        [.. ArithmeticTask.Load(Settings.BundledModel).Draw(rows, seed, excludedQuestions)
            .Select(row => new Question(row.Question, row.Answer))];
}
