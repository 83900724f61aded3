using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Persistence;
using Microsoft.ML.Sorsa.Training;
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
    private readonly DecoderConfig _config;

    internal SorsaFineTuningTrainer(IHostEnvironment env, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _host = env.Register(nameof(SorsaFineTuningTrainer));
        _options = options.Clone();
        _options.Validate();
        _config = DecoderConfig.Load(_options.ModelFolder);
        AdapterSet.Verify(_config, _options.TargetModules, _options.VerifiedRank);
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
        Device device = TorchDevice.Of(_host);
        var prompts = new PromptEncoder(TextTokenizer.Load(_options.ModelFolder), _options.PromptTemplate);
        TextModel.VerifyTokenizer(_config, prompts.Tokenizer, _options.ModelFolder);

        // What costs little is looked at first: the weights' headers and both data's columns, then the rows.
        using Checkpoint checkpoint = Checkpoint.OpenFolder(_options.ModelFolder);
        CausalLM.Verify(_config, checkpoint);
        ScalarType computeType = TrainingType(checkpoint.StoredType);
        IEnumerable<(string Prompt, string Response)> trainRows = Rows(trainData);
        IEnumerable<(string Prompt, string Response)>? validationRows = validationData is null ? null : Rows(validationData);
        IReadOnlyList<SupervisedExample> train = Encode(channel, prompts, trainRows, trainArgument);
        IReadOnlyList<SupervisedExample> validation = validationRows is null ? [] : Encode(channel, prompts, validationRows, nameof(validationData));

        CausalLM model = CausalLM.Load(_config, checkpoint, computeType, device);
        try
        {
            ScalarType savedType = _options.SavedType.ToScalarType(model.StoredType);
            var text = new TextModel(model, prompts, _options.Generation, savedType, _options.PromptColumnName, _options.OutputColumnName);
            MergeReport report = TrainAndMerge(channel, model, train, validation, prompts.Tokenizer, savedType);
            return new SorsaTransformer(text) { MergeReport = report };
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private IEnumerable<(string Prompt, string Response)> Rows(IDataView data) =>
        PromptResponseReader.Read(data, _options.PromptColumnName, _options.ResponseColumnName);

    private ScalarType TrainingType(ScalarType stored) => _options.ComputeType.ToScalarType(stored) is var type and not ScalarType.Float16
        ? type
        : throw _options.NoFloat16();

    private IReadOnlyList<SupervisedExample> Encode(IChannel channel, PromptEncoder prompts, IEnumerable<(string Prompt, string Response)> rows, string argument)
    {
        var encoder = new ExampleEncoder(prompts, EndToken(prompts.Tokenizer), _options.MaxPromptLength, _options.MaxResponseLength, _config.MaxPositions);
        EncodedExamples encoded = encoder.Encode(rows, argument, _options.CancellationToken);
        channel.Info(MessageSensitivity.None, $"{argument}: {encoded.Examples.Count} rows; {encoded.Dropped} dropped for an empty prompt or response, {encoded.Truncated} cut at MaxPromptLength or MaxResponseLength.");
        return encoded.Examples;
    }

    private int EndToken(ITextTokenizer tokenizer) => tokenizer.EosTokenId
        ?? (_config.EosTokenIds.Count > 0 ? _config.EosTokenIds[0] : throw new InvalidDataException(
            $"Neither the tokenizer nor config.json in '{_options.ModelFolder}' names the token that ends a text. Set eos_token in tokenizer_config.json."));

    private MergeReport TrainAndMerge(
        IChannel channel, CausalLM model, IReadOnlyList<SupervisedExample> train, IReadOnlyList<SupervisedExample> validation, ITextTokenizer tokenizer, ScalarType savedType)
    {
        var plan = new BatchPlan(train, _options.BatchSize, _options.GradientAccumulationSteps, _options.Seed);
        int totalSteps = (int)Math.Min((long)plan.StepsPerEpoch * _options.NumberOfEpochs, _options.MaxSteps ?? int.MaxValue);
        using var start = new Generator(unchecked((ulong)_options.Seed));
        using var dropout = new Generator(unchecked((ulong)_options.Seed), model.Device);
        AdapterSet adapters = AdapterSet.Inject(model, _options.TargetModules, _options.CreateMethod(totalSteps, start, dropout), _options.CancellationToken);
        long parameters = adapters.Trainable.Sum(named => named.Value.numel());
        int padTokenId = tokenizer.PadTokenId ?? EndToken(tokenizer);
        channel.Info(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture, $"{_options.Method}: training {parameters:N0} parameters, in {adapters.Adapters.Count()} projections, for {totalSteps} steps."));
        if (Math.Ceiling(totalSteps * _options.WarmupRatio) >= totalSteps)
        {
            channel.Warning(MessageSensitivity.None, string.Create(CultureInfo.InvariantCulture, $"The warm-up takes all {totalSteps} steps, so that the learning rate never reaches its peak (a run of one step changes nothing). Lower WarmupRatio (now {_options.WarmupRatio}) or BatchSize (now {_options.BatchSize}), or raise NumberOfEpochs (now {_options.NumberOfEpochs})."));
        }

        new TrainingLoop(model, adapters, _options.ForLoop(padTokenId, plan.StepsPerEpoch)).Run(
            Enumerable.Range(0, int.MaxValue).SelectMany(plan.Epoch).Take(totalSteps), totalSteps,
            validation.Count == 0 ? null : () => SupervisedLoss.Mean(model, validation, _options.BatchSize, padTokenId),
            progress => Report(channel, progress), _options.CancellationToken);
        MergeReport report = MergeReport.Of(adapters, savedType);
        channel.Info(MessageSensitivity.None, report.ToString());
        adapters.Merge(savedType);
        model.RoundTo(savedType);
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
