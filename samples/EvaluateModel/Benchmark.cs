using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Generation;
using QuickStart;

namespace EvaluateModel;

/// <summary>Questions, how they are asked, and who judges the answers.</summary>
/// <param name="Title">Which questions, and how they are asked.</param>
/// <param name="Template">What the model reads around a row's prompt.</param>
/// <param name="Generation">Where an answer ends.</param>
/// <param name="Rows">Prompts, and the references.</param>
/// <param name="Graders">The ones whose numbers others publish.</param>
internal sealed record Benchmark(
    string Title, PromptTemplate Template, GenerationOptions Generation, IReadOnlyList<AskedRow> Rows,
    IReadOnlyList<IAnswerGrader> Graders)
{
    private const int TestSeed = 1, TrainSeed = 2, TrainRows = 2000;

    private static readonly IAnswerGrader[] s_gsm8k =
        [AnswerGraders.Gsm8kStrict, AnswerGraders.Gsm8kFlexible, AnswerGraders.Gsm8kMetaMath];

    private static readonly IAnswerGrader[] s_math =
        [AnswerGraders.MathHendrycks, AnswerGraders.MathMinerva, AnswerGraders.MathPaper, AnswerGraders.MathVerify];

    /// <summary>Those of the files that are named; where no file is, the bundled stories, whose answers have GSM-8K's form.</summary>
    public static IEnumerable<Benchmark> Of(MLContext mlContext, Settings settings)
    {
        if (settings.AsksStories)
        {
            ArithmeticTask task = ArithmeticTask.Load(Settings.BundledModel);
            IReadOnlyList<(string Question, string Answer)> test = task.Draw(settings.Rows, TestSeed);
            yield return Gsm8k(
                "arithmetic stories", settings, test, () => task.Draw(TrainRows, TrainSeed, test.Select(row => row.Question).ToHashSet()));
        }

        if (settings.Gsm8k is { } gsm8k)
        {
            yield return Gsm8k(
                "GSM-8K", settings, Read(mlContext, gsm8k, settings.Rows, "question", "answer"),
                () => settings.Gsm8kTrain is { } train ? Read(mlContext, train, int.MaxValue, "question", "answer") : []);
        }

        if (settings.Math is { } math)
        {
            IReadOnlyList<(string Question, string Solution)> rows = Read(mlContext, math, settings.Rows, "problem", "solution");
            yield return Ask("MATH", settings, rows, s_math, EvaluationPrompt.MathPaper, () => EvaluationPrompt.MathMinerva);
        }
    }

    private static Benchmark Gsm8k(
        string title, Settings settings, IReadOnlyList<(string, string)> rows, Func<IReadOnlyList<(string, string)>> train) =>
        Ask(
            title, settings, rows, s_gsm8k, EvaluationPrompt.Gsm8kPaper,
            () => EvaluationPrompt.Gsm8kFewShot(settings.Shots == 0 ? [] : train(), settings.Shots));

    private static Benchmark Ask(
        string title, Settings settings, IReadOnlyList<(string Question, string Gold)> rows, IReadOnlyList<IAnswerGrader> graders,
        EvaluationPrompt paper, Func<EvaluationPrompt> lmEval)
    {
        EvaluationPrompt? asked = settings.Prompts switch
        {
            PromptStyle.LmEval => lmEval(),
            PromptStyle.Paper => paper,
            _ => null,
        };
        string[] questions = [.. rows.Select(row => row.Question)];
        GenerationOptions generation = asked?.Generation ?? new GenerationOptions();
        return new Benchmark(
            $"{title}, asked by {asked?.Name ?? (settings.Prompts == PromptStyle.Chat ? "the chat template" : "the question alone")}",
            settings.Prompts == PromptStyle.Chat ? PromptTemplate.Chat : EvaluationPrompt.Template,
            generation with { BatchSize = settings.Batch, MaxNewTokens = settings.MaxNewTokens ?? generation.MaxNewTokens },
            [
                .. (asked?.Render(questions) ?? questions)
                    .Zip(rows, (prompt, row) => new AskedRow { Prompt = prompt, Response = row.Gold }),
            ],
            graders);
    }

    private static (string, string)[] Read(MLContext mlContext, string path, int rows, string question, string gold)
    {
        IDataView data = mlContext.Data.LoadFromJsonLines(path, question, gold);
        (string, string)[] read = [.. data.GetColumn<string>(question).Zip(data.GetColumn<string>(gold)).Take(rows)];
        return read.Length > 0
            ? read
            : throw new InvalidDataException($"'{path}' has no rows. It must have at least one, with \"{question}\" and \"{gold}\".");
    }
}

/// <summary>What the model is asked, and what the answer should be.</summary>
internal sealed class AskedRow
{
    public string Prompt { get; set; } = "";

    public string Response { get; set; } = "";
}
