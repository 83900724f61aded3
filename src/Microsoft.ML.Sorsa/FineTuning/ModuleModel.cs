using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Tokenizers;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>
/// A model object of the user's own class that is trained where it lies. Its weights are written in place; a run that fails puts them
/// back.
/// </summary>
internal sealed class ModuleModel : IPretrainedModel
{
    internal const string NoFolder =
        "its layout is not known here. FineTune(model, modelFolder, options), with the folder that it was loaded from, gives a transformer "
        + "that can be saved, where its class computes what config.json asks for";

    private readonly ForeignModel _model;
    private readonly IReadOnlyList<TargetWeight> _targets;
    private readonly string _whyNotSaved;

    /// <param name="model">Stays the user's.</param>
    /// <param name="tokenizer">The model's, which knows how many tokens that has scores for.</param>
    /// <param name="endTokenId">The token that ends a text.</param>
    /// <param name="settings">What names the targets.</param>
    /// <param name="whyNotSaved">What the error of saving says, without a full stop.</param>
    /// <exception cref="ArgumentException">
    /// No module matches a target, or one of them does not allow the rank.
    /// </exception>
    /// <exception cref="NotSupportedException">The model is quantised.</exception>
    public ModuleModel(ForeignModel model, ITextTokenizer tokenizer, int endTokenId, FineTuningSettings settings, string whyNotSaved)
    {
        _model = model;
        _whyNotSaved = whyNotSaved;
        _targets = TargetWeight.Find(model.Module, settings.TargetModules);
        foreach (TargetWeight target in _targets)
        {
            AdapterSet.VerifyRank(target.Path, target.Weight.shape, settings.RequiredRank);
        }

        Tokenizer = tokenizer;
        EndTokenId = endTokenId;
    }

    public ITextTokenizer Tokenizer { get; }

    public int EndTokenId { get; }

    public int MaxPositions => _model.MaxPositions;

    public Device Device => _model.Device;

    public ModelOrigin? Origin => null;

    /// <summary>With a tokenizer that the user has in hand, as the object is now.</summary>
    /// <param name="module">Stays the user's.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="forward">Token ids to logits; null: by the shape of the model's class.</param>
    /// <param name="endTokenId">The token that ends a text; null: the one that the tokenizer names.</param>
    /// <param name="settings">What names the targets.</param>
    /// <exception cref="ArgumentException">The tokenizer is another model's, or names no end.</exception>
    public static ModuleModel Open(
        nn.Module module, Tokenizer tokenizer, Func<Tensor, Tensor>? forward, int? endTokenId, FineTuningSettings settings)
    {
        var text = new UserTokenizer(tokenizer, endTokenId);
        int end = text.EosTokenId ?? throw new ArgumentException(
            $"endTokenId is null, and {tokenizer.GetType()} names no token that ends a text. " +
            "Give the id of the one that the model was trained with.", nameof(endTokenId));
        var model = ForeignModel.Bind(module, forward, maxPositions: null, text.EndTokenIds);
        return new ModuleModel(model, new UserTokenizer(tokenizer, end, model.VocabularySize), end, settings, NoFolder);
    }

    /// <summary>Nothing is known of what its forward keeps.</summary>
    public ModelSizes? Sizes(FineTuningSettings settings) => null;

    public AdaptedModel Adapt(
        IReadOnlyList<string> targetModules, AdapterMethod method, bool isNamed, CancellationToken cancellationToken)
    {
        bool wasTraining = _model.Module.training;
        string? fingerprint = isNamed ? WeightsFingerprint.Of(_model.NamedWeights) : null;
        var frozen = new FrozenModule(_model.Module);
        try
        {
            var adapters = AdapterSet.Inject(
                _targets.Select(target => new TensorTarget(target.Path, target.Weight)), method, cancellationToken);
            return new AdaptedModule(
                _model, adapters, TensorTarget.CommonType(_targets.Select(target => target.Weight)), frozen, wasTraining, _whyNotSaved,
                fingerprint);
        }
        catch
        {
            frozen.Dispose();
            throw;
        }
    }

    /// <summary>Nothing: the module is the user's.</summary>
    public void Dispose()
    {
    }

    private sealed class AdaptedModule(
        ForeignModel model, AdapterSet adapters, ScalarType savedType, FrozenModule frozen, bool wasTraining, string whyNotSaved,
        string? fingerprint)
        : AdaptedModel(adapters, savedType)
    {
        public override ITrainedModel Model => model;

        public override string? BaseFingerprint => fingerprint;

        public override void Dispose()
        {
            try
            {
                Adapters.Discard();
            }
            finally
            {
                frozen.Dispose();
                model.train(wasTraining);
            }
        }

        protected override AdapterWeights? CopyAdapters() => null;

        protected override FineTunedModel HandOver() => new(model, null, SavedType) { WhyNotSaved = whyNotSaved };
    }
}
