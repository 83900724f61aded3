using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Tokenizers;
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
    private readonly Func<IHostEnvironment, Opened> _open;

    /// <summary>Fine-tunes the model of a folder.</summary>
    internal SorsaFineTuningTrainer(IHostEnvironment env, Options options)
        : this(env, options, copy =>
        {
            copy.Validate();
            DecoderConfig config = DecoderConfig.Load(copy.ModelFolder);
            AdapterSet.Verify(config, copy.TargetModules, copy.VerifiedRank);
            return host =>
            {
                var folder = new OpenedFolder(copy, config, TorchDevice.Of(host));
                return new Opened(new FolderBase(copy, folder, folder.Load), folder);
            };
        })
    {
    }

    /// <summary>Fine-tunes a model object of the user's.</summary>
    internal SorsaFineTuningTrainer(IHostEnvironment env, Options options, nn.Module module, Tokenizer tokenizer, Func<Tensor, Tensor>? forward, int? endTokenId)
        : this(env, options, copy =>
        {
            copy.ValidateForObject();
            var model = new ObjectBase(copy, module, tokenizer, forward, endTokenId);
            return _ => new Opened(model, null);
        })
    {
    }

    private SorsaFineTuningTrainer(IHostEnvironment env, Options options, Func<Options, Func<IHostEnvironment, Opened>> check)
    {
        ArgumentNullException.ThrowIfNull(options);
        _host = env.Register(nameof(SorsaFineTuningTrainer));
        _options = options.Clone();
        _open = check(_options);
    }

    /// <summary>Trains on all rows.</summary>
    /// <remarks>
    /// While it trains, glibc's allocator (Linux) keeps freed memory for this process, and gives it back at the end; not where a MALLOC_ variable or
    /// GLIBC_TUNABLES has set it. The number of threads is libtorch's; another number gives other last bits.
    /// </remarks>
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
        TextColumns.Check(inputSchema, nameof(Options.PromptColumnName), _options.PromptColumnName);
        TextColumns.Check(inputSchema, nameof(Options.ResponseColumnName), _options.ResponseColumnName);
        return TextColumns.Append(inputSchema, _options.OutputColumnName);
    }

    private SorsaTransformer Train(IDataView trainData, string trainArgument, IDataView? validationData)
    {
        using IChannel channel = _host.Start("Fine-tuning");

        // What costs little is looked at first: the weights' headers and both data's columns, then the rows.
        using Opened opened = _open(_host);
        var run = new FineTuningRun(channel, _options, opened.Start);
        var prompts = new PromptEncoder(opened.Start.Tokenizer, _options.PromptTemplate);
        IEnumerable<(string Prompt, string Response)> trainRows = Rows(trainData);
        IEnumerable<(string Prompt, string Response)>? validationRows = validationData is null ? null : Rows(validationData);
        IReadOnlyList<SupervisedExample> train = run.Encode(prompts, trainRows, trainArgument);
        return run.Train(prompts, train, validationRows is null ? [] : run.Encode(prompts, validationRows, nameof(validationData)));
    }

    private IEnumerable<(string Prompt, string Response)> Rows(IDataView data) =>
        PromptResponseReader.Read(data, _options.PromptColumnName, _options.ResponseColumnName);

    /// <summary>What a run starts from, and the folder behind it where there is one.</summary>
    private sealed record Opened(TrainingBase Start, OpenedFolder? Folder) : IDisposable
    {
        public void Dispose()
        {
            Start.Dispose();
            Folder?.Dispose();
        }
    }
}
