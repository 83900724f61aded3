using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Tokenizers;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>A model object of the user's own class. Its weights are written in place; a run that fails puts them back.</summary>
internal sealed class ModuleModel : IPretrainedModel
{
    private readonly ForeignModel _model;
    private readonly IReadOnlyList<TargetWeight> _targets;

    /// <param name="module">Stays the user's.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="forward">Token ids to logits; null: by the shape of the model's class.</param>
    /// <param name="endTokenId">The token that ends a text; null: the one that the tokenizer names.</param>
    /// <param name="targetModules">Names of modules to adapt.</param>
    /// <param name="largestRank">What a target must allow; null for methods without a rank.</param>
    public ModuleModel(
        nn.Module module, Tokenizer tokenizer, Func<Tensor, Tensor>? forward, int? endTokenId, IReadOnlyList<string> targetModules,
        int? largestRank)
    {
        _targets = TargetWeight.Find(module, targetModules);
        foreach (TargetWeight target in _targets)
        {
            AdapterSet.VerifyRank(target.Path, target.Weight.shape, largestRank);
        }

        _model = ForeignModel.Bind(module, forward);
        Tokenizer = new UserTokenizer(tokenizer, endTokenId);
        EndTokenId = Tokenizer.EosTokenId ?? throw new ArgumentException(
            $"endTokenId is null, and {tokenizer.GetType()} names no token that ends a text. " +
            "Give the id of the one that the model was trained with.", nameof(endTokenId));
        int ids = Math.Max(Tokenizer.VocabularySize ?? 0, EndTokenId + 1);
        if (EndTokenId < 0 || ids > _model.VocabularySize)
        {
            throw new ArgumentException(
                $"tokenizer has {ids} tokens, its end token is {EndTokenId}, and the model gives scores for {_model.VocabularySize}. " +
                "Use the tokenizer of this model.",
                nameof(tokenizer));
        }
    }

    public ITextTokenizer Tokenizer { get; }

    public int EndTokenId { get; }

    public int MaxPositions => _model.MaxPositions;

    public Device Device => _model.Device;

    public AdaptedModel Adapt(IReadOnlyList<string> targetModules, AdapterMethod method, CancellationToken cancellationToken)
    {
        bool wasTraining = _model.Module.training;
        var frozen = new FrozenModule(_model.Module);
        try
        {
            var adapters = AdapterSet.Inject(
                _targets.Select(target => new TensorTarget(target.Path, target.Weight)), method, cancellationToken);
            return new AdaptedModule(
                _model, adapters, TensorTarget.CommonType(_targets.Select(target => target.Weight)), frozen, wasTraining);
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

    private sealed class AdaptedModule(ForeignModel model, AdapterSet adapters, ScalarType savedType, FrozenModule frozen, bool wasTraining)
        : AdaptedModel(adapters, savedType)
    {
        public override ITrainedModel Model => model;

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

        protected override FineTunedModel HandOver() => new(model, null, SavedType);
    }
}
