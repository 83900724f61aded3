using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Reports;
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
    private readonly TrainingLog _log = new(channel, settings);

    /// <summary>The processes that train together; they hear of it where this fails.</summary>
    public TrainingGroup Group { get; init; } = new(settings.Ranks);

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
    /// <param name="trained">Of validation rows, those that are trained on; null: these are.</param>
    public EncodedExamples Encode(
        PromptEncoder prompts, IEnumerable<(string Prompt, string Response)> rows, string argument, EncodedExamples? trained = null)
    {
        var encoder = new ExampleEncoder(
            prompts, start.EndTokenId, settings.MaxResponseLength, start.MaxPositions, settings.TrainedTokens, settings.EndToken);
        EncodedExamples encoded = encoder.Encode(rows, argument, settings.CancellationToken);
        encoded = trained is null ? encoded : encoded.Beside(trained);
        _log.Rows(encoded, argument, start.MaxPositions);
        return encoded;
    }

    /// <summary>Loads, trains and merges.</summary>
    /// <exception cref="OutOfMemoryException">The model's device has not enough.</exception>
    public FineTunedModel Train(EncodedExamples train, EncodedExamples? validation)
    {
        try
        {
            return TrainAndMerge(train, validation);
        }
        catch (Exception failure) when (TorchMemory.IsExhausted(failure))
        {
            throw ExhaustedMemory.Error(
                settings, start.Device.ToString(), Estimate(train.Examples, validation?.Examples ?? []), failure);
        }
        finally
        {
            KeptMemory.GiveBack();
        }
    }

    private FineTunedModel TrainAndMerge(EncodedExamples trainRows, EncodedExamples? validationRows)
    {
        DateTimeOffset begun = DateTimeOffset.Now;
        var clock = Stopwatch.StartNew();
        TrainingSettings training = settings.Training;
        (IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation) =
            (trainRows.Examples, validationRows?.Examples ?? []);
        var plan = new BatchPlan(train, training.BatchSize, training.GradientAccumulationSteps, training.Seed, training.RowOrder);
        int totalSteps = plan.TotalSteps(training.NumberOfEpochs, training.MaxSteps);
        VerifyRanks(train.Count);
        VerifyMemory(train, validation);
        _log.Types(start.ComputeType, start.Device);
        using var initialization = new Generator(unchecked((ulong)training.Seed));
        AdapterMethod method = settings.Method.Create(
            settings.MethodSettings,
            new MethodRun(totalSteps, initialization, Decomposition ?? Decomposition.Drawn(initialization), training.Seed));

        // Where several train together, the first writes for all, and all of them end at the same step: the others, too, which need no
        // folder, wait until it is written.
        using TrainingCheckpoints? checkpoints = Group.IsFirst && settings.Checkpoints is { } asked
            ? new TrainingCheckpoints(asked, plan.StepsPerEpoch, _log.Warn) : null;
        using EndRequest? endRequest = settings.Checkpoints is null && Group.IsAlone ? null : new EndRequest();
        using TensorBoardLog? tensorBoard = Group.IsFirst && settings.TensorBoardFolder is { } folder
            ? new TensorBoardLog(folder, nameof(settings.TensorBoardFolder), _log.Warn) : null;
        using AdaptedModel model = start.Adapt(
            settings.TargetModules, method, isNamed: checkpoints is not null || !Group.IsAlone, settings.CancellationToken);
        model.Model.GradientCheckpointing = training.GradientCheckpointing;
        long parameters = model.Adapters.Trainable.Sum(named => named.Value.numel());
        _log.Begin(parameters, model.Adapters.Adapters.Count(), train.Count, plan.StepsPerEpoch, totalSteps);

        int padTokenId = start.Tokenizer.PadTokenId ?? start.EndTokenId;
        int evaluationSteps = training.EvaluationSteps
            ?? (Evaluations is { } evaluations ? (totalSteps + evaluations - 1) / evaluations : plan.StepsPerEpoch);
        training = training with { EvaluationSteps = evaluationSteps, PadTokenId = padTokenId };
        var steps = new List<SorsaTrainingProgress>();
        TrainedSteps trained = Train(
            model, checkpoints, endRequest, tensorBoard, plan, totalSteps, training, train, validation, steps.Add);
        Group.Agreement.Part();

        // In the log before anything is written: what a merge that fails was about.
        MergeReport report = MergeReport.Of(model.Adapters, model.SavedType);
        double? orthonormality = Orthonormality(model.Adapters);
        _log.Info($"{report}");
        var record = new SorsaTrainingRecord
        {
            Origin = start.Origin,
            Method = settings.Method.Method,
            Options = settings.Options,
            TrainData = trainRows.Statistics,
            ValidationData = validationRows?.Statistics,
            TrainableParameters = parameters,
            TotalSteps = totalSteps,
            Losses = trained.Losses,
            ValidationLosses = trained.Evaluations,
            Steps = steps,
            Orthonormality = orthonormality,
            Device = start.Device.type.ToString(),
            Begun = begun,
            Duration = clock.Elapsed,
        };
        return model.Merge() with { Report = report, Orthonormality = orthonormality, Analysis = trained.Analysis, Training = record };
    }

    /// <summary>What this run will need of memory; null for a model of a class that is not ours.</summary>
    public SorsaMemoryEstimate? Estimate(IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation) =>
        Memory(train, validation).Estimate(settings);

    private MemoryEstimator Memory(IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation) =>
        new(start, changed => MicroBatches.Of(changed, train, validation), Available(start.Device));

    /// <summary>Every rank has something to do.</summary>
    /// <exception cref="ArgumentException">There are more than a batch has rows.</exception>
    private void VerifyRanks(int rows)
    {
        if (Group.IsAlone)
        {
            return;
        }

        const string Fewer = "start fewer processes";
        int batch = settings.Training.BatchSize;
        OptionRange.Fit(Group.Count <= batch, nameof(settings.Ranks), Group.Count,
            string.Create(CultureInfo.InvariantCulture, $"BatchSize is {batch}, of which each rank takes a share"),
            $"Raise BatchSize, lower GradientAccumulationSteps for it, or {Fewer}");
        OptionRange.Fit(Group.Count <= rows, nameof(settings.Ranks), Group.Count,
            string.Create(CultureInfo.InvariantCulture, $"there are {rows} rows to train on"), $"Bring more rows, or {Fewer}");
        _log.Info($"Ranks: {settings.Ranks}.");
    }

    /// <summary>Nothing is loaded that cannot be trained.</summary>
    /// <exception cref="InsufficientMemoryException">The estimate is above what the device has.</exception>
    private void VerifyMemory(IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation)
    {
        MemoryEstimator estimator = Memory(train, validation);
        if (estimator.Plain(settings) is not { } estimate)
        {
            _log.Info($"Memory: what a model object of a class of its own takes cannot be told beforehand.");
            return;
        }

        _log.Info($"Memory: {estimate.Summary}");
        if (estimate.Fits == false && settings.MemoryCheck)
        {
            estimator.Estimate(settings)!.VerifyFits();
        }

        if (estimate.Fits == false)
        {
            _log.Warn($"Memory: {estimate.Summary} Training begins all the same, since {nameof(settings.MemoryCheck)} is false.");
        }
    }

    /// <summary>The steps that are left: all, or those behind the newest checkpoint.</summary>
    private TrainedSteps Train(
        AdaptedModel model, TrainingCheckpoints? checkpoints, EndRequest? endRequest, TensorBoardLog? tensorBoard, BatchPlan plan,
        int totalSteps, TrainingSettings training, IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation,
        Action<SorsaTrainingProgress> keep)
    {
        using var state = new TrainingState(model.Adapters, training);
        RunIdentity? identity = model.BaseFingerprint is { } fingerprint
            ? RunFingerprint.Of(
                settings, training, totalSteps, train, validation, fingerprint, start.Device, start.ComputeType?.Type)
            : null;
        if (checkpoints is not null)
        {
            if (checkpoints.Resume(state, identity!, model.ViewAdapters) is { } checkpoint)
            {
                _log.Info($"Training goes on behind step {state.Step} of {totalSteps}, from '{checkpoint}'.");
            }

            checkpoints.VerifyRoom(state, totalSteps, hasBest: validation.Count > 0);
        }

        if (!Group.IsAlone)
        {
            if (Group.Agreement.Meet(RunFingerprint.OfRank(identity!, settings, start)) is { } remark)
            {
                _log.Warn(remark);
            }

            Group.Send(state);
        }

        tensorBoard?.Begin(state.Step);
        var loop = new TrainingLoop(model.Model, model.Adapters, training)
        {
            Group = Group,
            Checkpoints = checkpoints,
            EndRequest = endRequest,
            LossWatch = new LossWatch(start.Tokenizer.VocabularySize ?? 1, _log.Warn),
            Analysis = Group.IsFirst && settings.Analysis is { } options
                ? new AdapterAnalysis(model.Adapters, options, line => _log.Info($"{line}")) : null,
        };
        loop.Continue(
            state, plan.Steps(state.Step, totalSteps), totalSteps,
            validation.Count == 0 ? null : Validate,
            Report, settings.CancellationToken);
        return new TrainedSteps(
            [.. state.Losses], [.. state.Evaluations], loop.Analysis is null ? null : new SorsaAnalysis([.. state.Analysis]));

        void Report(SorsaTrainingProgress progress)
        {
            keep(progress);
            tensorBoard?.Add(progress);
            if (Group.IsFirst)
            {
                settings.Progress?.Report(progress);
            }

            _log.Step(progress);
        }

        double Validate() => SupervisedLoss.Mean(
            model.Model, validation, training.BatchSize, training.PadTokenId, training.LogitsChunkSize, Group);
    }

    private double? Orthonormality(AdapterSet adapters)
    {
        if (adapters.OrthonormalFactors is not { Count: > 0 } factors)
        {
            return null;
        }

        double deviation = new OrthonormalityRegularizer(
            factors, settings.MethodSettings.RegularizerReduction == RegularizerReduction.Mean).Measure();
        _log.Info($"Singular vectors: L_reg of Eq. (9) is {deviation:G3} at the end.");
        return deviation;
    }

    /// <summary>What is left of the state of a training that is done.</summary>
    private sealed record TrainedSteps(
        IReadOnlyList<double> Losses, IReadOnlyList<(int Step, double Loss)> Evaluations, SorsaAnalysis? Analysis);
}
