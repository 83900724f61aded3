using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Training;
using Microsoft.ML.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// Fine-tunes a Llama or Mistral model with SORSA on rows of a prompt and a response column. Made by <c>mlContext.Sorsa().FineTune(...)</c>;
/// composes with other estimators before and behind it.
/// </summary>
public sealed partial class SorsaFineTuningTrainer : IEstimator<SorsaTransformer>
{
    private readonly IHost _host;
    private readonly Options _options;
    private readonly Func<IHostEnvironment, TrainingBase> _open;

    /// <summary>Fine-tunes the model of a folder.</summary>
    internal SorsaFineTuningTrainer(IHostEnvironment env, Options options)
        : this(env, options, copy =>
        {
            copy.Validate();
            DecoderConfig config = DecoderConfig.Load(copy.ModelFolder);
            AdapterSet.Verify(config, copy.TargetModules, copy.VerifiedRank);
            return host => new FolderBase(copy, config, TorchDevice.Of(host));
        })
    {
    }

    /// <summary>Fine-tunes a model object of the user's.</summary>
    internal SorsaFineTuningTrainer(IHostEnvironment env, Options options, nn.Module module, Tokenizer tokenizer, Func<Tensor, Tensor>? forward, int? endTokenId)
        : this(env, options, copy =>
        {
            copy.ValidateForObject();
            var model = new ObjectBase(copy, module, tokenizer, forward, endTokenId);
            return _ => model;
        })
    {
    }

    private SorsaFineTuningTrainer(IHostEnvironment env, Options options, Func<Options, Func<IHostEnvironment, TrainingBase>> check)
    {
        ArgumentNullException.ThrowIfNull(options);
        _host = env.Register(nameof(SorsaFineTuningTrainer));
        _options = options.Clone();
        _open = check(_options);
    }

    /// <summary>Trains on all rows.</summary>
    /// <param name="input">Data with the prompt and the response column.</param>
    /// <exception cref="ArgumentException">
    /// A column is not there or is not text; a row is longer than the model's positions; the tokenizer is another model's; an option asks for
    /// validation rows that are not given.
    /// </exception>
    /// <exception cref="InvalidOperationException">No row has a prompt and a response; no GPU where one is demanded.</exception>
    /// <exception cref="InvalidDataException">A file of the model is corrupt, or its weights are not those of config.json.</exception>
    /// <exception cref="ArithmeticException">The loss or a gradient is not finite.</exception>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public SorsaTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _options.ValidateWithoutValidationRows();
        return Train(input, nameof(input), validationData: null);
    }

    /// <summary>Trains on the first rows, keeps the weights of the lowest loss on the second ones, and stops early if the options say so.</summary>
    /// <param name="trainData">Data with the prompt and the response column.</param>
    /// <param name="validationData">Data with the same columns that is not trained on.</param>
    /// <inheritdoc cref="Fit(IDataView)" path="/exception"/>
    public SorsaTransformer Fit(IDataView trainData, IDataView validationData)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        ArgumentNullException.ThrowIfNull(validationData);
        return Train(trainData, nameof(trainData), validationData);
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        TextColumns.Check(inputSchema, nameof(Options.PromptColumnName), _options.PromptColumnName);
        TextColumns.Check(inputSchema, nameof(Options.ResponseColumnName), _options.ResponseColumnName);
        return TextColumns.Append(inputSchema, _options.OutputColumnName);
    }

    private SorsaTransformer Train(IDataView trainData, string trainArgument, IDataView? validationData)
    {
        using IChannel channel = _host.Start("Fine-tuning");

        // What costs little is looked at first: the weights' headers and both data's columns, then the rows.
        using TrainingBase start = _open(_host);
        var prompts = new PromptEncoder(start.Tokenizer, _options.PromptTemplate);
        IEnumerable<(string Prompt, string Response)> trainRows = Rows(trainData);
        IEnumerable<(string Prompt, string Response)>? validationRows = validationData is null ? null : Rows(validationData);
        IReadOnlyList<SupervisedExample> train = Encode(channel, start, prompts, trainRows, trainArgument);
        IReadOnlyList<SupervisedExample> validation = validationRows is null ? [] : Encode(channel, start, prompts, validationRows, nameof(validationData));

        ITrainedModel model = start.Load();
        MergeReport report = TrainAndMerge(channel, start, model, train, validation);
        return start.Finish(prompts, report);
    }

    private IEnumerable<(string Prompt, string Response)> Rows(IDataView data) =>
        PromptResponseReader.Read(data, _options.PromptColumnName, _options.ResponseColumnName);

    private IReadOnlyList<SupervisedExample> Encode(
        IChannel channel, TrainingBase start, PromptEncoder prompts, IEnumerable<(string Prompt, string Response)> rows, string argument)
    {
        var encoder = new ExampleEncoder(prompts, start.EndTokenId, _options.MaxPromptLength, _options.MaxResponseLength, start.MaxPositions);
        EncodedExamples encoded = encoder.Encode(rows, argument, _options.CancellationToken);
        channel.Info(MessageSensitivity.None, $"{argument}: {encoded.Examples.Count} rows; {encoded.Dropped} dropped for an empty prompt or response, {encoded.Truncated} cut at MaxPromptLength or MaxResponseLength.");
        return encoded.Examples;
    }

    private MergeReport TrainAndMerge(
        IChannel channel, TrainingBase start, ITrainedModel model, IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation)
    {
        var plan = new BatchPlan(train, _options.BatchSize, _options.GradientAccumulationSteps, _options.Seed);
        int totalSteps = (int)Math.Min((long)plan.StepsPerEpoch * _options.NumberOfEpochs, _options.MaxSteps ?? int.MaxValue);
        using var initialization = new Generator(unchecked((ulong)_options.Seed));
        using var dropout = new Generator(unchecked((ulong)_options.Seed), model.Device);
        AdapterSet adapters = start.Inject(_options.CreateMethod(totalSteps, initialization, dropout));
        long parameters = adapters.Trainable.Sum(named => named.Value.numel());
        int padTokenId = start.Tokenizer.PadTokenId ?? start.EndTokenId;
        channel.Info(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture, $"{_options.Method}: training {parameters:N0} parameters, in {adapters.Adapters.Count()} projections, for {totalSteps} steps."));
        if (Math.Ceiling(totalSteps * _options.WarmupRatio) >= totalSteps)
        {
            channel.Warning(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture, $"The warm-up takes all {totalSteps} steps, so that the learning rate never reaches its peak (a run of one step changes nothing). Lower WarmupRatio (now {_options.WarmupRatio}) or BatchSize (now {_options.BatchSize}), or raise NumberOfEpochs (now {_options.NumberOfEpochs})."));
        }

        new TrainingLoop(model, adapters, _options.ForLoop(padTokenId, plan.StepsPerEpoch)).Run(
            Enumerable.Range(0, int.MaxValue).SelectMany(plan.Epoch).Take(totalSteps), totalSteps,
            validation.Count == 0 ? null : () => SupervisedLoss.Mean(model, validation, _options.BatchSize, padTokenId),
            progress => Report(channel, progress), _options.CancellationToken);
        MergeReport report = MergeReport.Of(adapters, start.SavedType);
        channel.Info(MessageSensitivity.None, report.ToString());
        adapters.Merge(start.SavedType);
        return report;
    }

    /// <summary>Every step to the listener, ten of them and every look at the validation rows to the log.</summary>
    private void Report(IChannel channel, SorsaTrainingProgress progress)
    {
        _options.Progress?.Report(progress);
        if (progress.Step % Math.Max(1, progress.TotalSteps / 10) == 0 || progress.Step == progress.TotalSteps || progress.ValidationLoss is not null)
        {
            string validation = progress.ValidationLoss is { } loss ? string.Create(CultureInfo.InvariantCulture, $", validation loss {loss:F4}") : "";
            channel.Info(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture,
                $"Step {progress.Step} of {progress.TotalSteps}: loss {progress.Loss:F4}{validation}, learning rate {progress.LearningRate:G3}, gradient norm {progress.GradientNorm:G3}."));
        }
    }
}
