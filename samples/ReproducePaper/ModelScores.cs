using Microsoft.ML;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Generation;
using QuickStart;

namespace ReproducePaper;

/// <summary>What a model answers, and what it knows beside that.</summary>
internal static class ModelScores
{
    /// <summary>Answers given together.</summary>
    public const int BatchSize = 50;

    /// <param name="mlContext">On the device.</param>
    /// <param name="settings">The study's.</param>
    /// <param name="data">What to ask.</param>
    /// <param name="model">Answers in the form that it was trained in.</param>
    /// <param name="result">What is known of the run so far.</param>
    public static RunResult AddTo(MLContext mlContext, StudySettings settings, StudyData data, SorsaTransformer model, RunResult result)
    {
        using var folder = data.Tests.Any(test => test.Prompt is not null) ? new SavedModel(model) : null;
        return result with
        {
            Scores = [.. data.Tests.Select(test => Ask(mlContext, model, folder?.Path, test))],
            TextLoss = data.Text.Length == 0 ? null : TextLoss(mlContext, model, data.Text, settings.TextWindow),
            Choices = data.Choices.Count == 0
                ? null
                : ChoiceScore(mlContext.Sorsa().EvaluateChoices(model, data.Choices, data.ChoiceTemplate)),
        };
    }

    private static Score Ask(MLContext mlContext, SorsaTransformer model, string? folder, TestSet test)
    {
        if (test.Prompt is not { } prompt)
        {
            return ScoreOf(test, mlContext.Sorsa().Evaluate(model, mlContext.Data.LoadFromEnumerable(test.Rows), test.Grader));
        }

        // In another form than it was trained in, as the paper's authors ask: the same weights behind another template.
        IReadOnlyList<string> texts = prompt.Render([.. test.Rows.Select(row => row.Prompt)]);
        using SorsaTransformer asked = mlContext.Sorsa().LoadModel(
            folder!, promptTemplate: EvaluationPrompt.Template, generation: prompt.Generation with { BatchSize = BatchSize },
            computeType: WeightType.Checkpoint);
        IEnumerable<Question> rows = texts.Zip(test.Rows, (text, row) => new Question(text, row.Response));
        return ScoreOf(test, mlContext.Sorsa().Evaluate(asked, mlContext.Data.LoadFromEnumerable(rows), test.Grader));
    }

    private static Score ScoreOf(TestSet test, SorsaEvaluation evaluation) => new(
        test.Name, evaluation.Correct, evaluation.Graded, evaluation.Failed,
        evaluation.Answers.FirstOrDefault(answer => answer.Problem is not null)?.Problem);

    private static double TextLoss(MLContext mlContext, SorsaTransformer model, string text, int? window)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, text);
            return mlContext.Sorsa().EvaluateText(model, file, window).Loss;
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static Score ChoiceScore(MultipleChoiceEvaluation evaluation) =>
        new("choices", evaluation.Correct, evaluation.Questions.Count);

    /// <summary>A model in a folder for as long as it is asked.</summary>
    private sealed class SavedModel : IDisposable
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("reproduce-paper").FullName;

        public SavedModel(SorsaTransformer model) => model.SaveHuggingFace(Path);

        public string Path => System.IO.Path.Combine(_folder, "model");

        public void Dispose() => Directory.Delete(_folder, recursive: true);
    }
}
