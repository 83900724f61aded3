using Microsoft.ML;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;
using QuickStart;

namespace ReproducePaper;

/// <summary>Questions to ask a model, and who judges the answers.</summary>
/// <param name="Name">The set's.</param>
/// <param name="Rows">The questions, with their references.</param>
/// <param name="Grader">Judges one answer.</param>
/// <param name="Prompt">What is asked where that is not what was trained; null: the same form.</param>
internal sealed record TestSet(string Name, IReadOnlyList<Question> Rows, IAnswerGrader Grader, EvaluationPrompt? Prompt = null);

/// <summary>The rows of a study; none that a run trains on chooses a learning rate or is asked.</summary>
internal sealed record StudyData(
    IReadOnlyList<Question> Train, IReadOnlyList<Question> Validation, IReadOnlyList<TestSet> Tests, string Text,
    IReadOnlyList<MultipleChoiceQuestion> Choices, PromptTemplate? ChoiceTemplate = null)
{
    private const int AskedSeed = 1, TrainSeed = 2, ValidationSeed = 3;

    /// <summary>Characters of a row of PEFT's comparison, at most.</summary>
    private const int PeftRowLength = 1300;

    public static StudyData Load(StudySettings settings) => settings.IsBundledTask ? Bundled(settings) : Files(settings);

    private static StudyData Bundled(StudySettings settings)
    {
        ArithmeticTask task = ArithmeticTask.Load(settings.ModelFolder);
        HashSet<string> taken = [];
        IReadOnlyList<Question> asked = Draw(settings.TestRows, AskedSeed), validation = Draw(settings.ValidationRows, ValidationSeed);
        return new StudyData(
            Draw(settings.Rows, TrainSeed), validation, [new TestSet("stories", asked, AnswerGraders.Gsm8kStrict)],
            BaseKnowledge.Text(settings.TextLength), BaseKnowledge.Sums(settings.ChoiceRows),
            PromptTemplate.Format("{prompt}"));

        IReadOnlyList<Question> Draw(int rows, int seed)
        {
            Question[] drawn = [.. task.Draw(rows, seed, taken).Select(row => new Question(row.Question, row.Answer))];
            taken.UnionWith(drawn.Select(row => row.Prompt));
            return drawn;
        }
    }

    private static StudyData Files(StudySettings settings)
    {
        var mlContext = new MLContext();
        IReadOnlyList<Question> rows = Read(settings.Train!, settings.PromptColumn, settings.ResponseColumn);
        if (settings.IsPeftProtocol)
        {
            rows = [.. rows.Where(row => row.Prompt.Length + 1 + row.Response.Length <= PeftRowLength)];
        }

        // Validated on the file's last rows.
        int validated = Math.Min(settings.ValidationRows, rows.Count / 2);
        return new StudyData(
            [.. rows.SkipLast(validated).Take(settings.Rows)], [.. rows.TakeLast(validated)],
            [.. Tests()],
            settings.Text is { } text ? Beginning(File.ReadAllText(text), settings.TextLength) : "",
            settings.Choices is { } choices ? [.. MultipleChoiceQuestion.Read(choices).Take(settings.ChoiceRows)] : []);

        IEnumerable<TestSet> Tests()
        {
            if (settings.Gsm8k is { } gsm8k)
            {
                IAnswerGrader grader = settings.IsPeftProtocol ? new PeftGrader()
                    : settings.IsPapers ? AnswerGraders.Gsm8kMetaMath : AnswerGraders.Gsm8kFlexible;
                yield return new TestSet(
                    "GSM-8K", [.. Read(gsm8k, "question", "answer").Take(settings.TestRows)], grader,
                    settings.IsPapers ? EvaluationPrompt.Gsm8kPaper : null);
            }

            if (settings.Math is { } math)
            {
                IAnswerGrader grader = settings.IsPapers ? AnswerGraders.MathPaper : AnswerGraders.MathVerify;
                yield return new TestSet(
                    "MATH", [.. Read(math, "problem", "solution").Take(settings.TestRows)], grader,
                    settings.IsPapers ? EvaluationPrompt.MathPaper : null);
            }
        }

        IReadOnlyList<Question> Read(string path, string prompt, string response) =>
            Question.Read(mlContext.Data.LoadFromJsonLines(path, prompt, response), prompt, response);
    }

    /// <summary>Not in the middle of a pair that is one character.</summary>
    private static string Beginning(string text, int length) =>
        text.Length <= length ? text : text[..(char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)];
}
