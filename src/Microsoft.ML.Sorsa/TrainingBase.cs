using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Persistence;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// What a fine-tuning starts from, for one run: a model of a folder, or a model object of the user's. Disposed before <see cref="Finish"/>, it
/// leaves nothing behind.
/// </summary>
internal abstract class TrainingBase : IDisposable
{
    public abstract ITextTokenizer Tokenizer { get; }

    /// <summary>The token that ends a text.</summary>
    public abstract int EndTokenId { get; }

    /// <summary>Tokens that a text may have.</summary>
    public abstract int MaxPositions { get; }

    /// <summary>What the merged weights are rounded to.</summary>
    public abstract ScalarType SavedType { get; }

    /// <summary>The model with its weights.</summary>
    public abstract ITrainedModel Load();

    /// <summary>Puts a method's adapters into the loaded model.</summary>
    public abstract AdapterSet Inject(AdapterMethod method);

    /// <summary>What is kept of the adapters for a file of their own; null where there is none.</summary>
    public abstract AdapterWeights? Keep(AdapterSet adapters);

    /// <summary>The merged model as a transformer.</summary>
    public abstract SorsaTransformer Finish(PromptEncoder prompts, MergeReport report, AdapterWeights? trained);

    public abstract void Dispose();
}

/// <summary>A model of ours, from a folder in the Hugging Face layout.</summary>
internal sealed class FolderBase : TrainingBase
{
    private readonly SorsaFineTuningTrainer.Options _options;
    private readonly DecoderConfig _config;
    private readonly Device _device;
    private readonly Checkpoint _checkpoint;
    private readonly ScalarType _computeType;
    private CausalLM? _model;
    private AdapterSet? _adapters;

    public FolderBase(SorsaFineTuningTrainer.Options options, DecoderConfig config, Device device)
    {
        _options = options;
        _config = config;
        _device = device;
        Tokenizer = TextTokenizer.Load(options.ModelFolder);
        TextModel.VerifyTokenizer(config, Tokenizer, options.ModelFolder);
        EndTokenId = Tokenizer.EosTokenId ?? (config.EosTokenIds.Count > 0 ? config.EosTokenIds[0] : throw new InvalidDataException(
            $"Neither the tokenizer nor config.json in '{options.ModelFolder}' names the token that ends a text. Set eos_token in tokenizer_config.json."));
        _checkpoint = Checkpoint.OpenFolder(options.ModelFolder);
        try
        {
            CausalLM.Verify(config, _checkpoint);
            _computeType = options.ComputeType.ToScalarType(_checkpoint.StoredType);
            SavedType = options.SavedType.ToScalarType(_checkpoint.StoredType);
            if (_computeType == ScalarType.Float16)
            {
                throw options.NoFloat16();
            }
        }
        catch
        {
            _checkpoint.Dispose();
            throw;
        }
    }

    public override ITextTokenizer Tokenizer { get; }

    public override int EndTokenId { get; }

    public override int MaxPositions => _config.MaxPositions;

    public override ScalarType SavedType { get; }

    public override ITrainedModel Load() => _model = CausalLM.Load(_config, _checkpoint, _computeType, _device);

    public override AdapterSet Inject(AdapterMethod method) =>
        _adapters = AdapterSet.Inject(_model!, _options.TargetModules, method, _options.CancellationToken);

    public override AdapterWeights? Keep(AdapterSet adapters) => AdapterWeights.Of(adapters, _model!.Fingerprint);

    public override SorsaTransformer Finish(PromptEncoder prompts, MergeReport report, AdapterWeights? trained)
    {
        _model!.RoundTo(SavedType);
        var text = new TextModel(_model, prompts, _options.Generation, SavedType, _options.PromptColumnName, _options.OutputColumnName);
        var transformer = new SorsaTransformer(text) { MergeReport = report, Trained = trained };
        _model = null;
        return transformer;
    }

    public override void Dispose()
    {
        _adapters?.Discard();
        _model?.Dispose();
        _checkpoint.Dispose();
    }
}
