using QuickStart;

namespace CompareMethods;

/// <summary>Rows to train on, to look at and to ask; none is in two of them, and every run has the same.</summary>
internal static class TaskData
{
    private const int AskedSeed = 1;
    private const int TrainSeed = 2;
    private const int ValidationSeed = 3;

    /// <summary>Of each as many are drawn, however many a run needs: what trains does not depend on what is looked at.</summary>
    public const int MostLookedAt = 1000;

    public static (IReadOnlyList<Question> Train, IReadOnlyList<Question> Validation, IReadOnlyList<Question> Asked) Load(
        RunRequest request)
    {
        ArithmeticTask task = ArithmeticTask.Load(Settings.BundledModel);
        HashSet<string> taken = [];
        IReadOnlyList<Question> asked = Draw(MostLookedAt, AskedSeed), validation = Draw(MostLookedAt, ValidationSeed);
        return (Draw(request.Rows, TrainSeed), [.. validation.Take(request.ValidationRows)], [.. asked.Take(request.AskedRows)]);

        IReadOnlyList<Question> Draw(int rows, int seed)
        {
            Question[] drawn = [.. task.Draw(rows, seed, taken).Select(row => new Question(row.Question, row.Answer))];
            taken.UnionWith(drawn.Select(row => row.Prompt));
            return drawn;
        }
    }
}
