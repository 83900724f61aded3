using CompareMethods;
using Microsoft.ML;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Evaluation;
using Microsoft.ML.Sorsa.Generation;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace ReproducePaper;

/// <summary>
/// One run in this process: a training with what its loss, gradients and matrices did, and what the model answers afterwards.
/// </summary>
internal static class TrainingRun
{
    public static RunResult Do(StudySettings settings, Run run)
    {
        StudyData data = StudyData.Load(settings);
        var mlContext = new MLContext { GpuDeviceId = settings.GpuDeviceId };
        if (run.Kind == RunKind.Base)
        {
            using SorsaTransformer model = mlContext.Sorsa().LoadModel(
                settings.ModelFolder, promptTemplate: Template(settings), generation: Generation(settings),
                computeType: settings.ComputeType, maxPromptLength: settings.MaxLength);
            return Asked(mlContext, model, settings, data, new RunResult { Run = run });
        }

        var watch = new StepWatch();
        bool validates = run.Kind == RunKind.Tuning;
        Options options = OptionsOf(settings, run, watch);
        IDataView train = mlContext.Data.LoadFromEnumerable(data.Train);
        try
        {
            SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(options);
            using SorsaTransformer model = validates
                ? trainer.Fit(train, mlContext.Data.LoadFromEnumerable(data.Validation))
                : trainer.Fit(train);
            RunResult result = watch.AddTo(
                new RunResult { Run = run, PeakMemory = PeakMemory.Read(), Matrices = model.Analysis?.Matrices ?? [] });
            return validates ? result with { Steps = [] } : Asked(mlContext, model, settings, data, result);
        }
        catch (Exception e) when (e is ArithmeticException or OutOfMemoryException)
        {
            return watch.AddTo(new RunResult { Run = run, Divergence = e.Message }) with { ValidationLoss = null };
        }
    }

    private static Options OptionsOf(StudySettings settings, Run run, StepWatch watch)
    {
        StudyMethod method = StudyMethod.Find(run.Method)!;
        int steps = run.Kind == RunKind.Tuning ? settings.StepsToTune : settings.WholeSteps;
        var options = new Options
        {
            ModelFolder = settings.ModelFolder,
            PromptTemplate = Template(settings),
            Method = method.Method,
            Rank = method.HasRank ? settings.Rank : null,
            Gamma = method.HasGamma ? run.Gamma ?? settings.Gamma : null,
            LearningRate = run.LearningRate,
            WeightDecay = settings.WeightDecay,
            WarmupRatio = settings.WarmupRatio,
            BatchSize = settings.MicroBatch,
            GradientAccumulationSteps = settings.Accumulation,
            MaxSteps = steps,
            NumberOfEpochs = int.MaxValue,
            EvaluationSteps = run.Kind == RunKind.Tuning ? steps : null,
            MaxPromptLength = settings.MaxLength,
            MaxResponseLength = settings.MaxLength,
            ComputeType = method.TrainsEveryWeight ? WeightType.Float32 : settings.ComputeType,
            Seed = run.Seed,
            Generation = Generation(settings),
            Progress = watch,
            Analysis = run.Kind == RunKind.Tuning ? null : new AnalysisOptions { Steps = Math.Max(1, steps / settings.Analyses) },
        };
        if (settings.IsPeftProtocol)
        {
            PeftProtocol.Apply(options);
        }

        method.Configure?.Invoke(options, steps);
        return options;
    }

    /// <summary>What Table 1 asks, and what was forgotten.</summary>
    private static RunResult Asked(
        MLContext mlContext, SorsaTransformer model, StudySettings settings, StudyData data, RunResult result)
    {
        Score[] scores =
        [
            .. data.Tests.Select(test =>
            {
                SorsaEvaluation evaluation = mlContext.Sorsa().Evaluate(
                    model, mlContext.Data.LoadFromEnumerable(test.Rows), test.Grader);
                return new Score(test.Name, evaluation.Correct, evaluation.Graded);
            }),
        ];
        return result with
        {
            Scores = scores,
            TextLoss = data.Text.Length == 0 ? null : TextLoss(mlContext, model, data.Text, settings.TextWindow),
            Choices = data.Choices.Count == 0 ? null : ChoiceScore(
                mlContext.Sorsa().EvaluateChoices(model, data.Choices, data.ChoiceTemplate)),
        };
    }

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

    private static PromptTemplate Template(StudySettings settings) => settings switch
    {
        { IsPeftProtocol: true } => PeftProtocol.Template,

        // The form of the bundled model's task.
        { IsBundledTask: true } => PromptTemplate.Format(PromptTemplate.Alpaca + "\n"),
        _ => PromptTemplate.Alpaca,
    };

    private static GenerationOptions Generation(StudySettings settings) =>
        new() { MaxNewTokens = settings.MaxNewTokens, BatchSize = 50 };
}
