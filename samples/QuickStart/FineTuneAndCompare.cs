using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Generation;

namespace QuickStart;

/// <summary>The whole way: ask, fine-tune, ask again, save, and ask once more in a second process that loads the zip.</summary>
internal static class FineTuneAndCompare
{
    private const int AnswersShown = 3;

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
        (IReadOnlyList<Question> train, IReadOnlyList<Question> test) = TaskData.Load(mlContext, settings);
        Directory.CreateDirectory(settings.Out);
        string trainFile = Path.Combine(settings.Out, "quickstart-train.jsonl"),
            testFile = Path.Combine(settings.Out, "quickstart-test.jsonl"),
            zip = Path.Combine(settings.Out, "model.zip");
        Question.Write(trainFile, train, settings.PromptColumn, settings.ResponseColumn);
        Question.Write(testFile, test, settings.PromptColumn, settings.ResponseColumn);
        IDataView trainData = mlContext.Data.LoadFromJsonLines(trainFile), testData = mlContext.Data.LoadFromJsonLines(testFile);
        var generation = new GenerationOptions { MaxNewTokens = settings.MaxNewTokens, BatchSize = 16 };
        var progress = new TrainingProgress();

        SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(new SorsaFineTuningTrainer.Options
        {
            ModelFolder = settings.Model,
            PromptColumnName = settings.PromptColumn,
            ResponseColumnName = settings.ResponseColumn,
            PromptTemplate = Settings.Template,
            Method = settings.Method,
            Rank = settings.Rank,
            Gamma = settings.Gamma,
            LearningRate = settings.LearningRate,
            BatchSize = settings.Batch,
            MaxSteps = settings.Steps,
            NumberOfEpochs = settings.Steps is null ? 1 : int.MaxValue,
            Generation = generation,
            Progress = progress,
        });

        Say(
            $"model: {Path.GetFileName(Path.TrimEndingDirectorySeparator(settings.Model))}; {train.Count} rows to train on, ",
            $"{test.Count} other rows to ask");
        Answers before;
        using (SorsaTransformer untrained = mlContext.Sorsa().LoadModel(
            settings.Model, settings.PromptColumn, promptTemplate: Settings.Template, generation: generation))
        {
            before = Answers.Of(untrained, testData, test, "before");
        }

        Say($"before: {before.Score}");
        if (before.Empty > 0)
        {
            Say(
                $"  {before.Empty} of {test.Count} answers are empty: the model's first token is the one that ends a text. It has ",
                $"learned to continue texts, not to answer, and takes this prompt for a whole one.");
        }

        var clock = Stopwatch.StartNew();
        using SorsaTransformer model = ProgressBar.Show("reading the rows, preparing the weights", bar =>
        {
            progress.Bar = bar;
            return trainer.Fit(trainData);
        });
        Say(
            $"training: {settings.Method}, {progress.Last!.Step} steps, loss {progress.First!.Loss:F4} in the first and ",
            $"{progress.Last.Loss:F4} in the last, {clock.Elapsed.TotalSeconds:F0} s",
            $"{(settings.Decomposes ? " with the decomposition" : "")}");

        Answers after = Answers.Of(model, testData, test, "after");
        Say($"after: {after.Score}");
        foreach (int i in Enumerable.Range(0, Math.Min(AnswersShown, test.Count)))
        {
            Say($"  question: {OneLine(test[i].Prompt)}");
            Say($"    before: {OneLine(before.Texts[i])}");
            Say($"    after:  {OneLine(after.Texts[i])}");
        }

        model.Save(zip, testData.Schema);
        Say($"saved: {zip}, {new FileInfo(zip).Length / 1e6:F1} MB");

        string replies = Path.Combine(settings.Out, "quickstart-replies.jsonl");
        PredictInAnotherProcess(zip, testFile, replies);
        var reloaded = new Answers(test, [.. mlContext.Data.LoadFromJsonLines(replies, "Reply").GetColumn<string>("Reply")]);
        bool equal = reloaded.Texts.SequenceEqual(after.Texts);
        Say(
            $"reloaded: {reloaded.Right} of {test.Count}, answers {(equal ? "equal" : "differ")}, in a second process that calls ",
            $"mlContext.Model.Load; they are in {replies}");
        if (settings.Interactive)
        {
            Conversation.Run(model);
        }

        return equal ? 0 : 1;
    }

    private static void PredictInAnotherProcess(string zip, string questions, string replies)
    {
        // "dotnet QuickStart.dll" or the program itself, whichever this process is.
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(FineTuneAndCompare).Assembly.Location] : [];
        using Process process = Process.Start(new ProcessStartInfo(program, [.. host, "predict", zip, questions, replies]))!;
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"The second process ended with exit code {process.ExitCode}.");
        }
    }

    private static string OneLine(string text)
    {
        const int Most = 110;
        string line = text.Length == 0 ? "(empty)" : text.ReplaceLineEndings(" / ");
        return line.Length <= Most ? line : line[..Most] + " ...";
    }

    private static void Say(params FormattableString[] pieces) =>
        Console.WriteLine(string.Concat(pieces.Select(FormattableString.Invariant)));
}
