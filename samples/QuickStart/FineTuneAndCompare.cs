using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;

namespace QuickStart;

/// <summary>The whole way: ask, fine-tune, ask again, save, and ask once more in a second process that loads the zip.</summary>
internal static class FineTuneAndCompare
{
    private const int AnswersShown = 3;

    /// <summary>Alpaca's instruction prompt with the response on a line of its own: the form of the bundled model's task.</summary>
    private static readonly PromptTemplate Template = PromptTemplate.Format(PromptTemplate.Alpaca + "\n");

    public static int Run(Settings settings)
    {
        var mlContext = new MLContext(seed: 0);
        (IReadOnlyList<Question> train, IReadOnlyList<Question> test) = TaskData.Load(mlContext, settings);
        Directory.CreateDirectory(settings.Out);
        string trainFile = Path.Combine(settings.Out, "quickstart-train.jsonl"),
            testFile = Path.Combine(settings.Out, "quickstart-test.jsonl"),
            zip = Path.Combine(settings.Out, "model.zip");
        Question.Write(trainFile, train);
        Question.Write(testFile, test);
        IDataView trainData = mlContext.Data.LoadFromJsonLines(trainFile), testData = mlContext.Data.LoadFromJsonLines(testFile);
        var generation = new GenerationOptions { MaxNewTokens = settings.MaxNewTokens, BatchSize = 16 };
        var progress = new TrainingProgressBar();

        SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(new SorsaFineTuningTrainer.Options
        {
            ModelFolder = settings.Model,
            PromptTemplate = Template,
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
        string[] before;
        using (SorsaTransformer untrained = mlContext.Sorsa().LoadModel(settings.Model, promptTemplate: Template, generation: generation))
        {
            before = Answers(untrained, testData);
        }

        Say($"before: {Score(test, before)}, exact match of the final answer");

        var clock = Stopwatch.StartNew();
        using SorsaTransformer model = progress.Show(() => trainer.Fit(trainData));
        Say(
            $"training: {progress.Last!.Step} steps, loss {progress.First!.Loss:F4} in the first and {progress.Last.Loss:F4} in the last, ",
            $"{clock.Elapsed.TotalSeconds:F0} s with the decomposition");

        string[] after = Answers(model, testData);
        Say($"after: {Score(test, after)}, exact match of the final answer");
        foreach (int i in Enumerable.Range(0, Math.Min(AnswersShown, test.Count)))
        {
            Say($"  question: {OneLine(test[i].Prompt)}");
            Say($"    before: {OneLine(before[i])}");
            Say($"    after:  {OneLine(after[i])}");
        }


        // ML.NET writes to the name it is given: under a name of its own a zip that is cut short never takes the place of a good one.
        mlContext.Model.Save(model, testData.Schema, zip + ".tmp");
        File.Move(zip + ".tmp", zip, overwrite: true);
        Say($"saved: {zip}, {new FileInfo(zip).Length / 1e6:F1} MB");

        string[] reloaded = AnswersOfAnotherProcess(zip, testFile, Path.Combine(settings.Out, "answers.jsonl"));
        bool equal = reloaded.SequenceEqual(after);
        Say(
            $"reloaded: {Right(test, reloaded)} of {test.Count}, answers {(equal ? "equal" : "differ")}, ",
            $"in a second process that calls mlContext.Model.Load");
        return equal ? 0 : 1;
    }

    private static string[] Answers(SorsaTransformer model, IDataView data) => [.. model.Transform(data).GetColumn<string>("Reply")];

    private static string[] AnswersOfAnotherProcess(string zip, string questions, string answers)
    {
        // "dotnet QuickStart.dll" or the program itself, whichever this process is.
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(FineTuneAndCompare).Assembly.Location] : [];
        using Process process = Process.Start(new ProcessStartInfo(program, [.. host, "predict", zip, questions, answers]))!;
        process.WaitForExit();
        return process.ExitCode == 0
            ? [.. File.ReadLines(answers).Select(line => JsonSerializer.Deserialize<string>(line)!)]
            : throw new InvalidOperationException($"The second process ended with exit code {process.ExitCode}.");
    }

    private static int Right(IReadOnlyList<Question> test, string[] answers) =>
        test.Zip(answers).Count(pair => pair.First.IsRight(pair.Second));

    private static string Score(IReadOnlyList<Question> test, string[] answers) =>
        FormattableString.Invariant(
            $"{Right(test, answers)} of {test.Count} ({100.0 * Right(test, answers) / Math.Max(1, test.Count):F1} %)");

    private static string OneLine(string text)
    {
        const int Most = 110;
        string line = text.ReplaceLineEndings(" / ");
        return line.Length <= Most ? line : line[..Most] + " ...";
    }

    private static void Say(params FormattableString[] pieces) =>
        Console.WriteLine(string.Concat(pieces.Select(FormattableString.Invariant)));
}
