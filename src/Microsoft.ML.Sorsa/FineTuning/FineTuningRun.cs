using System.Globalization;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>One fine-tuning: from a model that is opened, and rows, to the merged model. A trainer makes one, a sweep one for every trial.</summary>
internal sealed class FineTuningRun(IChannel channel, SorsaFineTuningTrainer.Options options, TrainingBase start)
{
    /// <summary>Where the leading singular triplets come from; null: made anew, from the options' seed.</summary>
    public Decomposition? Decomposition { get; init; }

    /// <summary>How often the validation rows are looked at where the options do not say; null: once per epoch.</summary>
    public int? Looks { get; init; }

    /// <summary>L_reg of Eq. (9) of what was trained; null before that, and for methods without singular vectors.</summary>
    public double? Orthonormality { get; private set; }

    /// <summary>Rows to examples.</summary>
    public IReadOnlyList<SupervisedExample> Encode(PromptEncoder prompts, IEnumerable<(string Prompt, string Response)> rows, string argument)
    {
        var encoder = new ExampleEncoder(prompts, start.EndTokenId, options.MaxPromptLength, options.MaxResponseLength, start.MaxPositions);
        EncodedExamples encoded = encoder.Encode(rows, argument, options.CancellationToken);
        channel.Info(MessageSensitivity.None, $"{argument}: {encoded.Examples.Count} rows; {encoded.Dropped} dropped for an empty prompt or response, {encoded.Truncated} cut at MaxPromptLength or MaxResponseLength.");
        return encoded.Examples;
    }

    /// <summary>Loads, trains and merges.</summary>
    public SorsaTransformer Train(PromptEncoder prompts, IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation)
    {
        ITrainedModel model = start.Load();
        var plan = new BatchPlan(train, options.BatchSize, options.GradientAccumulationSteps, options.Seed);
        int totalSteps = (int)Math.Min((long)plan.StepsPerEpoch * options.NumberOfEpochs, options.MaxSteps ?? int.MaxValue);
        using var initialization = new Generator(unchecked((ulong)options.Seed));
        using var dropout = new Generator(unchecked((ulong)options.Seed), model.Device);
        AdapterSet adapters = start.Inject(options.CreateMethod(totalSteps, initialization, Decomposition ?? Decomposition.Drawn(initialization), dropout));
        long parameters = adapters.Trainable.Sum(named => named.Value.numel());
        int padTokenId = start.Tokenizer.PadTokenId ?? start.EndTokenId;
        channel.Info(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture, $"{options.Method}: training {parameters:N0} parameters, in {adapters.Adapters.Count()} projections, for {totalSteps} steps."));
        if (Math.Ceiling(totalSteps * options.WarmupRatio) >= totalSteps)
        {
            channel.Warning(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture, $"The warm-up takes all {totalSteps} steps, so that the learning rate never reaches its peak (a run of one step changes nothing). Lower WarmupRatio (now {options.WarmupRatio}) or BatchSize (now {options.BatchSize}), or raise NumberOfEpochs (now {options.NumberOfEpochs})."));
        }

        int stepsBetweenLooks = Looks is { } looks ? (totalSteps + looks - 1) / looks : plan.StepsPerEpoch;
        new TrainingLoop(model, adapters, options.ForLoop(padTokenId, stepsBetweenLooks)).Run(
            Enumerable.Range(0, int.MaxValue).SelectMany(plan.Epoch).Take(totalSteps), totalSteps,
            validation.Count == 0 ? null : () => SupervisedLoss.Mean(model, validation, options.BatchSize, padTokenId),
            Report, options.CancellationToken);
        return Merge(prompts, adapters);
    }

    private SorsaTransformer Merge(PromptEncoder prompts, AdapterSet adapters)
    {
        if (adapters.OrthonormalFactors is { Count: > 0 } factors)
        {
            Orthonormality = new OrthonormalityRegularizer(factors, mean: options.RegularizerReduction == RegularizerReduction.Mean).Measure();
            channel.Info(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture, $"Singular vectors: L_reg of Eq. (9) is {Orthonormality:G3} at the end."));
        }

        MergeReport report = MergeReport.Of(adapters, start.SavedType);
        channel.Info(MessageSensitivity.None, report.ToString());
        AdapterWeights? trained = start.Keep(adapters);
        adapters.Merge(start.SavedType);
        return start.Finish(prompts, report, trained);
    }

    /// <summary>Every step to the listener, ten of them and every look at the validation rows to the log.</summary>
    private void Report(SorsaTrainingProgress progress)
    {
        options.Progress?.Report(progress);
        if (progress.Step % Math.Max(1, progress.TotalSteps / 10) == 0 || progress.Step == progress.TotalSteps || progress.ValidationLoss is not null)
        {
            string validation = progress.ValidationLoss is { } loss ? string.Create(CultureInfo.InvariantCulture, $", validation loss {loss:F4}") : "";
            channel.Info(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture,
                $"Step {progress.Step} of {progress.TotalSteps}: loss {progress.Loss:F4}{validation}, learning rate {progress.LearningRate:G3}, gradient norm {progress.GradientNorm:G3}."));
        }
    }
}
