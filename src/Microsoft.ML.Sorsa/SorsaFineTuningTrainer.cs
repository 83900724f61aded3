using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.DataViews;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// Fine-tunes a Llama or Mistral model with SORSA on rows of a prompt and a response column. Made by
/// <c>mlContext.Sorsa().FineTune(...)</c>; composes with other estimators before and behind it.
/// </summary>
public sealed partial class SorsaFineTuningTrainer : IEstimator<SorsaTransformer>
{
    private readonly IHost _host;
    private readonly FineTuningSettings _settings;
    private readonly Func<IHostEnvironment, IPretrainedModel> _open;

    /// <param name="env">ML.NET's.</param>
    /// <param name="settings">Checked options.</param>
    /// <param name="open">Opens the model to start from.</param>
    internal SorsaFineTuningTrainer(IHostEnvironment env, FineTuningSettings settings, Func<IHostEnvironment, IPretrainedModel> open)
    {
        _host = env.Register(nameof(SorsaFineTuningTrainer));
        _settings = settings;
        _open = open;
    }

    /// <summary>Trains on all rows.</summary>
    /// <remarks>
    /// While it trains, glibc's allocator (Linux) keeps freed memory for this process, and gives it back at the end; not where a MALLOC_
    /// variable or GLIBC_TUNABLES has set it. GOMP_SPINCOUNT and, in a container, OMP_NUM_THREADS are set when the library is first used,
    /// where they are not set yet (Linux). Another number of threads gives other last bits.
    /// </remarks>
    /// <param name="input">Data with the prompt and the response column.</param>
    /// <exception cref="ArgumentException">
    /// A column is not there or is not text; a row is longer than the model's positions; the tokenizer is another model's; an option asks
    /// for validation rows that are not given.
    /// </exception>
    /// <exception cref="InvalidOperationException">No row has a prompt and a response; no GPU where one is demanded.</exception>
    /// <exception cref="InvalidDataException">A file of the model is corrupt, or its weights are not those of config.json.</exception>
    /// <exception cref="InsufficientMemoryException">
    /// It would not fit in memory: see <see cref="SorsaFineTuningTrainer.Options.MemoryCheck"/>.
    /// </exception>
    /// <exception cref="ArithmeticException">The loss or a gradient is not finite.</exception>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public SorsaTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _settings.Training.VerifyWithoutValidationRows();
        return Train(input, nameof(input), validationData: null);
    }

    /// <summary>
    /// Trains on the first rows, keeps the weights of the lowest loss on the second ones, and stops early if the options say so.
    /// </summary>
    /// <param name="trainData">Data with the prompt and the response column.</param>
    /// <param name="validationData">Data with the same columns that is not trained on.</param>
    /// <inheritdoc cref="Fit(IDataView)" path="/remarks"/>
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
        TextColumns.Check(inputSchema, nameof(Options.PromptColumnName), _settings.PromptColumnName);
        TextColumns.Check(inputSchema, nameof(Options.ResponseColumnName), _settings.ResponseColumnName);
        return TextColumns.Append(inputSchema, _settings.OutputColumnName);
    }

    /// <summary>What training on these rows will take; without rows, on the longest that the options allow.</summary>
    internal SorsaMemoryEstimate Estimate(IDataView? trainData, IDataView? validationData)
    {
        using IChannel channel = _host.Start("Memory estimate");
        using IPretrainedModel start = _open(_host);
        if (trainData is null)
        {
            return new MemoryEstimator(start, changed => MicroBatches.Longest(changed, start.MaxPositions), DeviceMemory.Of(start.Device))
                .Estimate(_settings)!;
        }

        var run = new FineTuningRun(channel, _settings, start);
        (EncodedExamples train, EncodedExamples? validation) = Encode(
            run, Prompts(start), trainData, nameof(trainData), validationData);
        return run.Estimate(train.Examples, validation?.Examples ?? [])!;
    }

    /// <summary>What these rows are like in tokens.</summary>
    internal (DataStatistics Train, DataStatistics? Validation) Describe(IDataView trainData, IDataView? validationData)
    {
        using IChannel channel = _host.Start("Data statistics");
        using IPretrainedModel start = _open(_host);
        (EncodedExamples train, EncodedExamples? validation) = Encode(
            new FineTuningRun(channel, _settings, start), Prompts(start), trainData, nameof(trainData), validationData);
        return (train.Statistics, validation?.Statistics);
    }

    private SorsaTransformer Train(IDataView trainData, string trainArgument, IDataView? validationData)
    {
        var group = new TrainingGroup(_settings.Ranks);
        try
        {
            return Train(group, trainData, trainArgument, validationData);
        }
        catch (Exception failure)
        {
            group.Agreement.Fail(failure);
            throw;
        }
    }

    private SorsaTransformer Train(TrainingGroup group, IDataView trainData, string trainArgument, IDataView? validationData)
    {
        using IChannel channel = _host.Start("Fine-tuning");
        TextColumns.WarnOfHidden(channel, trainData.Schema, _settings.OutputColumnName);

        // What costs little is checked first: the weights' headers and both data's columns, then the rows.
        using IPretrainedModel start = _open(_host);
        var run = new FineTuningRun(channel, _settings, start) { Group = group };
        PromptEncoder prompts = Prompts(start);
        (EncodedExamples train, EncodedExamples? validation) = Encode(run, prompts, trainData, trainArgument, validationData);
        return SorsaTransformer.Over(_host, run.Train(train, validation), prompts, _settings);
    }

    private PromptEncoder Prompts(IPretrainedModel start) => new(start.Tokenizer, _settings.PromptTemplate, _settings.MaxPromptLength);

    private (EncodedExamples Train, EncodedExamples? Validation) Encode(
        FineTuningRun run, PromptEncoder prompts, IDataView trainData, string trainArgument, IDataView? validationData)
    {
        var trainRows = ReadRows(trainData);
        var validationRows = validationData is null ? null : ReadRows(validationData);
        EncodedExamples train = run.Encode(prompts, trainRows, trainArgument);
        return (train, validationRows is null ? null : run.Encode(prompts, validationRows, nameof(validationData), train));
    }

    private IEnumerable<(string Prompt, string Response)> ReadRows(IDataView data) =>
        PromptResponseReader.Read(data, _settings.PromptColumnName, _settings.ResponseColumnName);
}
