using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Persistence;
using Microsoft.ML.Sorsa.Tokenization;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

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
/// <param name="options">The run's.</param>
/// <param name="folder">Stays the caller's.</param>
/// <param name="load">Gives the model with its weights, which is this base's from then on.</param>
internal sealed class FolderBase(SorsaFineTuningTrainer.Options options, OpenedFolder folder, Func<CausalLM> load) : TrainingBase
{
    private CausalLM? _model;
    private AdapterSet? _adapters;

    public override ITextTokenizer Tokenizer => folder.Tokenizer;

    public override int EndTokenId => folder.EndTokenId;

    public override int MaxPositions => folder.Config.Spec.MaxPositions;

    public override ScalarType SavedType => folder.SavedType;

    public override ITrainedModel Load() => _model = load();

    public override AdapterSet Inject(AdapterMethod method) =>
        _adapters = AdapterSet.Inject(_model!, options.TargetModules, method, options.CancellationToken);

    public override AdapterWeights? Keep(AdapterSet adapters) => AdapterWeights.Of(adapters, _model!.Fingerprint);

    public override SorsaTransformer Finish(PromptEncoder prompts, MergeReport report, AdapterWeights? trained)
    {
        _model!.RoundTo(SavedType);
        var text = new TextModel(_model, prompts, options.Generation, SavedType, options.PromptColumnName, options.OutputColumnName);
        var transformer = new SorsaTransformer(text) { MergeReport = report, Trained = trained };
        _model = null;
        return transformer;
    }

    public override void Dispose()
    {
        _adapters?.Discard();
        _model?.Dispose();
    }
}
