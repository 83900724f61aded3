using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using QuickStart;

namespace CompareMethods;

/// <summary>One training in this process, which has trained nothing before, so that its peak memory is this method's own.</summary>
internal static class TrainOneRun
{
    /// <summary>Alpaca's instruction prompt with the response on a line of its own: the form of the bundled model's task.</summary>
    private static readonly PromptTemplate Template = PromptTemplate.Format(PromptTemplate.Alpaca + "\n");

    public static RunResult Run(RunRequest request)
    {
        (IReadOnlyList<Question> train, IReadOnlyList<Question> validation, IReadOnlyList<Question> asked) = TaskData.Load(request);
        var mlContext = new MLContext();
        var watch = new TrainingWatch();
        SorsaFineTuningTrainer trainer = mlContext.Sorsa().FineTune(OptionsOf(request, watch));
        try
        {
            using SorsaTransformer model = validation.Count == 0
                ? trainer.Fit(mlContext.Data.LoadFromEnumerable(train))
                : trainer.Fit(mlContext.Data.LoadFromEnumerable(train), mlContext.Data.LoadFromEnumerable(validation));
            return ResultOf(request, watch, asked.Count == 0 ? null : Accuracy(mlContext, model, asked), divergence: null);
        }
        catch (ArithmeticException e)
        {
            return ResultOf(request, watch, accuracy: 0, e.Message);
        }
    }

    private static SorsaFineTuningTrainer.Options OptionsOf(RunRequest request, TrainingWatch watch)
    {
        MethodVariant variant = MethodVariant.Find(request.Method)
            ?? throw new ArgumentException($"There is no method '{request.Method}'.", nameof(request));
        var options = new SorsaFineTuningTrainer.Options
        {
            ModelFolder = request.Model,
            PromptTemplate = Template,
            Method = variant.Method,
            Rank = variant.HasRank ? request.Rank : null,
            LearningRate = request.LearningRate,
            BatchSize = request.Batch,
            MaxSteps = request.Steps,
            NumberOfEpochs = int.MaxValue,
            EvaluationSteps = request.ValidationRows == 0 ? null : request.Steps,
            Seed = request.Seed,
            Generation = new GenerationOptions { MaxNewTokens = 64, BatchSize = 50 },
            Progress = watch,
        };
        variant.Configure?.Invoke(options, request.Steps);
        return options;
    }

    private static double Accuracy(MLContext mlContext, SorsaTransformer model, IReadOnlyList<Question> asked) =>
        asked.Zip(model.Transform(mlContext.Data.LoadFromEnumerable(asked)).GetColumn<string>("Reply"))
            .Count(pair => pair.First.IsRight(pair.Second)) / (double)asked.Count;

    private static RunResult ResultOf(RunRequest request, TrainingWatch watch, double? accuracy, string? divergence) => new()
    {
        Request = request,
        TrainableParameters = watch.Last?.TrainableParameters ?? 0,
        SecondsPerStep = watch.SecondsPerStep,
        PeakMemory = watch.PeakMemory,
        FinalLoss = divergence is null ? watch.FinalLoss : null,
        ValidationLoss = watch.Last?.ValidationLoss,
        Accuracy = accuracy,
        Divergence = divergence,
    };
}
