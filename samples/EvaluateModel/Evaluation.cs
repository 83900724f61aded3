using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Generation;
using QuickStart;

namespace EvaluateModel;

/// <summary>
/// Each benchmark: the model answers once, and every grader judges the same answers. Then choices and text, which the model only reads.
/// </summary>
internal static class Evaluation
{
    public static int Run(Settings settings)
    {
        var mlContext = new MLContext(seed: 0);
        mlContext.Log += (_, message) =>
        {
            if (message.Kind == ChannelMessageKind.Warning)
            {
                ProgressBar.WriteLine($"warning: {message.RawMessage}");
            }
        };

        // Before any work, so that a file's fault is found at once.
        Benchmark[] benchmarks = [.. Benchmark.Of(mlContext, settings)];
        IReadOnlyList<MultipleChoiceQuestion> questions = settings.Arc is { } arc
            ? [.. MultipleChoiceQuestion.Read(arc).Take(settings.Rows)]
            : [];
        Directory.CreateDirectory(settings.Out);
        Console.WriteLine($"model: {Path.GetFileName(Path.TrimEndingDirectorySeparator(settings.Model))}, {settings.ComputeType}");
        foreach (Benchmark benchmark in benchmarks)
        {
            (IReadOnlyList<AnsweredRow> answers, TimeSpan time) = Answer(mlContext, settings, benchmark);
            Console.WriteLine();
            Console.WriteLine(benchmark.Title);
            Console.WriteLine(FormattableString.Invariant(
                $"  {answers.Count} answers in {time.TotalSeconds:F1} s, {answers.Count / time.TotalSeconds:F2} a second"));
            foreach (IAnswerGrader grader in benchmark.Graders)
            {
                SorsaEvaluation evaluation = mlContext.Sorsa().Evaluate(mlContext.Data.LoadFromEnumerable(answers), grader);
                Console.WriteLine($"  {evaluation}");
                evaluation.SaveReport(Path.Combine(settings.Out, $"{grader.Name}.html"));
                evaluation.SaveCsv(Path.Combine(settings.Out, $"{grader.Name}.csv"));
            }
        }

        if (settings.Arc is not null || settings.Text is not null)
        {
            Likelihoods(mlContext, settings, questions);
        }

        Console.WriteLine();
        Console.WriteLine($"every row, as a page and as CSV: {settings.Out}");
        return 0;
    }

    private static (IReadOnlyList<AnsweredRow> Answers, TimeSpan Time) Answer(
        MLContext mlContext, Settings settings, Benchmark benchmark)
    {
        using SorsaTransformer model = mlContext.Sorsa().LoadModel(
            settings.Model, promptTemplate: benchmark.Template, generation: benchmark.Generation, computeType: settings.ComputeType);
        return ProgressBar.Show(benchmark.Title, bar =>
        {
            // Transform is lazy: the answers come batch by batch.
            var clock = Stopwatch.StartNew();
            List<AnsweredRow> answers = new(benchmark.Rows.Count);
            foreach (string reply in model.Transform(mlContext.Data.LoadFromEnumerable(benchmark.Rows)).GetColumn<string>("Reply"))
            {
                answers.Add(new AnsweredRow { Reply = reply, Response = benchmark.Rows[answers.Count].Response });
                bar.Move(answers.Count, benchmark.Rows.Count, $"{answers.Count} of {benchmark.Rows.Count} asked");
            }

            return ((IReadOnlyList<AnsweredRow>)answers, clock.Elapsed);
        });
    }

    /// <summary>What needs no answers: the model only reads.</summary>
    private static void Likelihoods(MLContext mlContext, Settings settings, IReadOnlyList<MultipleChoiceQuestion> questions)
    {
        using SorsaTransformer model = mlContext.Sorsa().LoadModel(
            settings.Model, promptTemplate: EvaluationPrompt.Template, generation: new GenerationOptions { BatchSize = settings.Batch },
            computeType: settings.ComputeType);
        if (settings.Arc is { } arc)
        {
            MultipleChoiceEvaluation evaluation = mlContext.Sorsa().EvaluateChoices(model, questions);
            Console.WriteLine();
            Console.WriteLine(Path.GetFileName(arc));
            Console.WriteLine($"  {evaluation}");
            evaluation.SaveCsv(Path.Combine(settings.Out, "choices.csv"));
        }

        if (settings.Text is { } text)
        {
            TextPerplexity perplexity = mlContext.Sorsa().EvaluateText(model, text);
            Console.WriteLine();
            Console.WriteLine(Path.GetFileName(text));
            Console.WriteLine($"  {perplexity}");
        }
    }

    /// <summary>What the graders read.</summary>
    private sealed class AnsweredRow
    {
        public string Reply { get; set; } = "";

        public string Response { get; set; } = "";
    }
}
