using QuickStart;

namespace CompareMethods;

/// <summary>Rows to train on, to validate on and to ask; none is in two of them, and every run has the same.</summary>
internal static class TaskData
{
    private const int AskedSeed = 1;
    private const int TrainSeed = 2;
    private const int ValidationSeed = 3;

    /// <summary>As many validation and test rows are drawn, however many a run needs: what trains does not depend on it.</summary>
    public const int MostHeldOut = 1000;

    public static (IReadOnlyList<Question> Train, IReadOnlyList<Question> Validation, IReadOnlyList<Question> Asked) Load(
        RunRequest request)
    {
        ArithmeticTask task = ArithmeticTask.Load(Settings.BundledModel);
        HashSet<string> taken = [];
        IReadOnlyList<Question> asked = Draw(MostHeldOut, AskedSeed), validation = Draw(MostHeldOut, ValidationSeed);
        return (Draw(request.Rows, TrainSeed), [.. validation.Take(request.ValidationRows)], [.. asked.Take(request.AskedRows)]);

        IReadOnlyList<Question> Draw(int rows, int seed)
        {
            Question[] drawn = [.. task.Draw(rows, seed, taken).Select(row => new Question(row.Question, row.Answer))];
            taken.UnionWith(drawn.Select(row => row.Prompt));
            return drawn;
        }
    }
}
