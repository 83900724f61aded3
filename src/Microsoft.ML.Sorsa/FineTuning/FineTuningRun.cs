using System.Globalization;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>
/// One fine-tuning: from a model that is opened, and rows, to the merged model. A trainer makes one, a sweep one for every trial.
/// </summary>
internal sealed class FineTuningRun(IChannel channel, FineTuningSettings settings, IPretrainedModel start)
{
    /// <summary>Below so many steps a warning says that little is learnt, and so many teach a form: docs/measurements.md.</summary>
    private const int FewSteps = 20, EnoughSteps = 100;

    /// <summary>The share of the rows from which on it is worth a warning that they were cut.</summary>
    private const double ManyRows = 0.05;

    /// <summary>Where the leading singular triplets come from; null: made anew, from the seed.</summary>
    public Decomposition? Decomposition { get; init; }

    /// <summary>How often the validation rows are evaluated where the settings do not say; null: once per epoch.</summary>
    public int? Evaluations { get; init; }

    /// <summary>What is free on a device; null where that cannot be told.</summary>
    public Func<torch.Device, AvailableMemory?> Available { get; init; } = DeviceMemory.Of;

    /// <summary>Rows to examples.</summary>
    /// <param name="prompts">With the model's tokenizer.</param>
    /// <param name="rows">Prompts and responses.</param>
    /// <param name="argument">What errors call the rows.</param>
    public IReadOnlyList<SupervisedExample> Encode(
        PromptEncoder prompts, IEnumerable<(string Prompt, string Response)> rows, string argument)
    {
        var encoder = new ExampleEncoder(
            prompts, start.EndTokenId, settings.MaxResponseLength, start.MaxPositions, settings.TrainedTokens, settings.EndToken);
        EncodedExamples encoded = encoder.Encode(rows, argument, settings.CancellationToken);
        int count = encoded.Examples.Count;
        Info($"{argument}: {count} rows; {encoded.Dropped} dropped for an empty prompt or response.");
        ReportCut(
            encoded.Prompts, count, $"{argument}: {encoded.Prompts.Count} of {count} prompts were cut, at the end of their own text",
            nameof(settings.MaxPromptLength), settings.MaxPromptLength);
        ReportCut(
            encoded.Responses, count, $"{argument}: {encoded.Responses.Count} of {count} responses were cut, the end token first",
            nameof(settings.MaxResponseLength), settings.MaxResponseLength);
        ReportCut(
            encoded.Texts, count, $"{argument}: {encoded.Texts.Count} of {count} texts were cut, the end token first",
            $"{nameof(settings.MaxPromptLength)} + {nameof(settings.MaxResponseLength)}",
            (long)settings.MaxPromptLength + settings.MaxResponseLength);
        return encoded.Examples;
    }

    /// <summary>Loads, trains and merges.</summary>
    /// <exception cref="OutOfMemoryException">The model's device has not enough.</exception>
    public FineTunedModel Train(IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation)
    {
        try
        {
            return TrainAndMerge(train, validation);
        }
        catch (Exception failure) when (TorchMemory.IsExhausted(failure))
        {
            throw ExhaustedMemory.Error(settings, start.Device.ToString(), Estimate(train, validation), failure);
        }
        finally
        {
            KeptMemory.GiveBack();
        }
    }

    private FineTunedModel TrainAndMerge(IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation)
    {
        TrainingSettings training = settings.Training;
        var plan = new BatchPlan(train, training.BatchSize, training.GradientAccumulationSteps, training.Seed, training.RowOrder);
        int totalSteps = plan.TotalSteps(training.NumberOfEpochs, training.MaxSteps);
        VerifyMemory(train, validation);
        using var initialization = new Generator(unchecked((ulong)training.Seed));
        AdapterMethod method = settings.Method.Create(
            settings.MethodSettings,
            new MethodRun(totalSteps, initialization, Decomposition ?? Decomposition.Drawn(initialization), training.Seed));
        using TrainingCheckpoints? checkpoints =
            settings.Checkpoints is { } asked ? new TrainingCheckpoints(asked, plan.StepsPerEpoch, Warn) : null;
        using AdaptedModel model = start.Adapt(
            settings.TargetModules, method, isNamed: checkpoints is not null, settings.CancellationToken);
        model.Model.GradientCheckpointing = training.GradientCheckpointing;
        Announce(model.Adapters, totalSteps);
        WarnOfFewSteps(train.Count, plan.StepsPerEpoch, totalSteps);

        int padTokenId = start.Tokenizer.PadTokenId ?? start.EndTokenId;
        int evaluationSteps = training.EvaluationSteps
            ?? (Evaluations is { } evaluations ? (totalSteps + evaluations - 1) / evaluations : plan.StepsPerEpoch);
        training = training with { EvaluationSteps = evaluationSteps, PadTokenId = padTokenId };
        SorsaAnalysis? analysis = Train(model, checkpoints, plan, totalSteps, training, train, validation);

        // In the log before anything is written: what a merge that fails was about.
        MergeReport report = MergeReport.Of(model.Adapters, model.SavedType);
        double? orthonormality = Orthonormality(model.Adapters);
        Info($"{report}");
        return model.Merge() with { Report = report, Orthonormality = orthonormality, Analysis = analysis };
    }

    /// <summary>What this run will need of memory; null for a model of a class that is not ours.</summary>
    public SorsaMemoryEstimate? Estimate(IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation) =>
        Memory(train, validation).Estimate(settings);

    private MemoryEstimator Memory(IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation) =>
        new(start, changed => MicroBatches.Of(changed, train, validation), Available(start.Device));

    /// <summary>Nothing is loaded that cannot be trained.</summary>
    /// <exception cref="InsufficientMemoryException">The estimate is above what the device has.</exception>
    private void VerifyMemory(IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation)
    {
        MemoryEstimator estimator = Memory(train, validation);
        if (estimator.Plain(settings) is not { } estimate)
        {
            Info($"Memory: what a model object of a class of its own takes cannot be told beforehand.");
            return;
        }

        Info($"Memory: {estimate.Summary}");
        if (estimate.Fits == false && settings.MemoryCheck)
        {
            throw new InsufficientMemoryException(estimator.Estimate(settings)!.Refusal);
        }

        if (estimate.Fits == false)
        {
            Warn($"Memory: {estimate.Summary} Training begins all the same, since {nameof(settings.MemoryCheck)} is false.");
        }
    }

    /// <summary>The steps that are left: all, or those behind the newest checkpoint.</summary>
    private SorsaAnalysis? Train(
        AdaptedModel model, TrainingCheckpoints? checkpoints, BatchPlan plan, int totalSteps, TrainingSettings training,
        IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation)
    {
        using var state = new TrainingState(model.Adapters, training);
        if (checkpoints is not null)
        {
            var identity = RunFingerprint.Of(
                settings, training, totalSteps, train, validation, model.BaseFingerprint!, start.Device);
            if (checkpoints.Resume(state, identity, model.ViewAdapters) is { } checkpoint)
            {
                Info($"Training goes on behind step {state.Step} of {totalSteps}, from '{checkpoint}'.");
            }

            checkpoints.VerifyRoom(state, totalSteps, hasBest: validation.Count > 0);
        }

        var loop = new TrainingLoop(model.Model, model.Adapters, training)
        {
            Checkpoints = checkpoints,
            LossWatch = new LossWatch(start.Tokenizer.VocabularySize ?? 1, Warn),
            Analysis = settings.Analysis is { } options ? new AdapterAnalysis(model.Adapters, options, line => Info($"{line}")) : null,
        };
        loop.Continue(
            state, plan.Steps(state.Step, totalSteps), totalSteps,
            validation.Count == 0 ? null : Validate,
            Report, settings.CancellationToken);
        return settings.Analysis is null ? null : new SorsaAnalysis([.. state.Analysis]);

        double Validate() => SupervisedLoss.Mean(
            model.Model, validation, training.BatchSize, training.PadTokenId, training.LogitsChunkSize);
    }

    /// <summary>Nothing, a word or a warning: by how many rows are concerned.</summary>
    private void ReportCut(CutTexts cut, int rows, FormattableString what, string option, long limit)
    {
        if (cut.Count == 0)
        {
            return;
        }

        string remedy = cut.Longest < start.MaxPositions
            ? string.Create(CultureInfo.InvariantCulture, $"Set {option} to {cut.Longest}")
            : string.Create(CultureInfo.InvariantCulture, $"The model has {start.MaxPositions} positions: shorten such texts");
        string message = FormattableString.Invariant(what) + string.Create(CultureInfo.InvariantCulture,
            $": {option} is {limit}, and the longest has {cut.Longest} tokens (template and special tokens included). {remedy} to keep "
            + $"them whole.");
        if (cut.Count >= rows * ManyRows)
        {
            channel.Warning(MessageSensitivity.None, message);
        }
        else
        {
            channel.Info(MessageSensitivity.None, message);
        }
    }

    private void Announce(AdapterSet adapters, int totalSteps)
    {
        long parameters = adapters.Trainable.Sum(named => named.Value.numel());
        Info(
            $"{settings.Method.Method}: training {parameters:N0} parameters, in {adapters.Adapters.Count()} projections, ",
            $"for {totalSteps} steps, with a learning rate of {settings.Training.LearningRate:G3} at its peak.");
        if (totalSteps > 1 && Math.Ceiling(totalSteps * settings.Training.WarmupRatio) >= totalSteps)
        {
            channel.Warning(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture,
                $"The warm-up takes all {totalSteps} steps, so that the learning rate never reaches its peak. Lower WarmupRatio (now "
                + $"{settings.Training.WarmupRatio}) or BatchSize (now {settings.Training.BatchSize}), or raise NumberOfEpochs (now "
                + $"{settings.Training.NumberOfEpochs})."));
        }
    }

    private void WarnOfFewSteps(int rows, int stepsPerEpoch, int totalSteps)
    {
        if (totalSteps >= FewSteps)
        {
            return;
        }

        TrainingSettings training = settings.Training;
        bool areLimited = totalSteps == training.MaxSteps && totalSteps < (long)stepsPerEpoch * training.NumberOfEpochs;
        string more = (long)stepsPerEpoch * training.NumberOfEpochs >= FewSteps
            ? "" : string.Create(CultureInfo.InvariantCulture, $" and NumberOfEpochs (now {training.NumberOfEpochs})");
        string remedy = areLimited
            ? string.Create(CultureInfo.InvariantCulture, $"Raise MaxSteps (now {training.MaxSteps}){more}.")
            : string.Create(CultureInfo.InvariantCulture,
                $"Raise NumberOfEpochs (now {training.NumberOfEpochs}; {1 + ((EnoughSteps - 1) / stepsPerEpoch)} make some {EnoughSteps} "
                + $"steps), lower BatchSize (now {training.BatchSize}) or GradientAccumulationSteps (now "
                + $"{training.GradientAccumulationSteps}), or bring more rows.");
        channel.Warning(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture,
            $"Training has only {totalSteps} step{(totalSteps == 1 ? "" : "s")} ({rows} rows, "
            + $"{(long)training.BatchSize * training.GradientAccumulationSteps} a step): with fewer than {FewSteps} a model "
            + $"hardly learns anything; some {EnoughSteps} teach it a form of answer. {remedy}"));
    }

    private double? Orthonormality(AdapterSet adapters)
    {
        if (adapters.OrthonormalFactors is not { Count: > 0 } factors)
        {
            return null;
        }

        double deviation = new OrthonormalityRegularizer(
            factors, settings.MethodSettings.RegularizerReduction == RegularizerReduction.Mean).Measure();
        Info($"Singular vectors: L_reg of Eq. (9) is {deviation:G3} at the end.");
        return deviation;
    }

    /// <summary>Every step to the listener, ten of them and every evaluation to the log.</summary>
    private void Report(SorsaTrainingProgress progress)
    {
        settings.Progress?.Report(progress);
        if (progress.Step % Math.Max(1, progress.TotalSteps / 10) == 0
            || progress.Step == progress.TotalSteps
            || progress.ValidationLoss is not null)
        {
            string validation = progress.ValidationLoss is { } loss
                ? string.Create(CultureInfo.InvariantCulture, $", validation loss {loss:F4}")
                : "";
            Info(
                $"Step {progress.Step} of {progress.TotalSteps}: loss {progress.Loss:F4}{validation}, learning rate ",
                $"{progress.LearningRate:G3}, gradient norm {progress.GradientNorm:G3}.");
        }
    }

    private void Warn(string message) => channel.Warning(MessageSensitivity.None, message);

    private void Info(params FormattableString[] pieces) =>
        channel.Info(MessageSensitivity.None, string.Concat(pieces.Select(FormattableString.Invariant)));
}
