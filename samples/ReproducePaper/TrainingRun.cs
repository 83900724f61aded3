using CompareMethods;
using Microsoft.ML;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
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
                computeType: run.Method == StudyMethod.Base.Key ? settings.ComputeType : WeightType.Float32,
                maxPromptLength: settings.MaxLength);
            return ModelScores.AddTo(mlContext, settings, data, model, new RunResult { Run = run });
        }

        int? analysed = run.Kind == RunKind.Tuning ? null : Math.Max(1, settings.WholeSteps / settings.Analyses);
        var watch = new StepWatch(analysed);
        bool validates = run.Kind == RunKind.Tuning;
        Options options = OptionsOf(settings, run, watch, analysed);
        IDataView train = mlContext.Data.LoadFromEnumerable(data.Train);
        try
        {
            SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(options);
            using SorsaTransformer model = validates
                ? trainer.Fit(train, mlContext.Data.LoadFromEnumerable(data.Validation))
                : trainer.Fit(train);
            RunResult result = watch.AddTo(
                new RunResult { Run = run, PeakMemory = MemoryOf(settings), Matrices = model.Analysis?.Matrices ?? [] });
            return validates ? result with { Steps = [] } : ModelScores.AddTo(mlContext, settings, data, model, result);
        }
        catch (Exception e) when (e is ArithmeticException or OutOfMemoryException)
        {
            return watch.AddTo(new RunResult { Run = run, Divergence = e.Message }) with { ValidationLoss = null };
        }
    }

    private static Options OptionsOf(StudySettings settings, Run run, StepWatch watch, int? analysed)
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
            Analysis = analysed is null ? null : new AnalysisOptions { Steps = analysed },
        };
        if (settings.IsPeftProtocol)
        {
            PeftProtocol.Apply(options);
        }

        method.Configure?.Invoke(options, steps);
        return options;
    }

    /// <summary>0 on a GPU, whose memory the process's does not tell.</summary>
    private static long MemoryOf(StudySettings settings) => settings.GpuDeviceId is null ? PeakMemory.Read() : 0;

    private static PromptTemplate Template(StudySettings settings) => settings switch
    {
        { IsPeftProtocol: true } => PeftProtocol.Template,

        // The form of the bundled model's task.
        { IsBundledTask: true } => PromptTemplate.Format(PromptTemplate.Alpaca + "\n"),
        _ => PromptTemplate.Alpaca,
    };

    private static GenerationOptions Generation(StudySettings settings) =>
        new() { MaxNewTokens = settings.MaxNewTokens, BatchSize = ModelScores.BatchSize };
}
