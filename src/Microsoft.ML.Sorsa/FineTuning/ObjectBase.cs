using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Tokenizers;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.FineTuning;

/// <summary>A model object of the user's own class. Its weights are written in place; a run that fails puts them back.</summary>
internal sealed class ObjectBase : TrainingBase
{
    private readonly SorsaFineTuningTrainer.Options _options;
    private readonly ForeignModel _model;
    private readonly IReadOnlyList<TargetWeight> _targets;
    private FrozenModule? _frozen;
    private bool _wasTraining;
    private AdapterSet? _adapters;

    public ObjectBase(SorsaFineTuningTrainer.Options options, nn.Module module, Tokenizer tokenizer, Func<Tensor, Tensor>? forward, int? endTokenId)
    {
        _options = options;
        _targets = TargetWeight.Find(module, options.TargetModules);
        foreach (TargetWeight target in _targets)
        {
            AdapterSet.VerifyRank(target.Path, target.Weight.shape, options.VerifiedRank);
        }

        _model = ForeignModel.Bind(module, forward);
        Tokenizer = new UserTokenizer(tokenizer, endTokenId);
        EndTokenId = Tokenizer.EosTokenId ?? throw new ArgumentException(
            $"endTokenId is null, and {tokenizer.GetType()} names no token that ends a text. Give the id of the one that the model was trained with.", nameof(endTokenId));
        int ids = Math.Max(Tokenizer.VocabularySize ?? 0, EndTokenId + 1);
        if (EndTokenId < 0 || ids > _model.VocabularySize)
        {
            throw new ArgumentException($"tokenizer has {ids} tokens, its end token is {EndTokenId}, and the model gives scores for {_model.VocabularySize}. Use the tokenizer of this model.", nameof(tokenizer));
        }
    }

    public override ITextTokenizer Tokenizer { get; }

    public override int EndTokenId { get; }

    public override int MaxPositions => _model.MaxPositions;

    public override ScalarType SavedType => TensorTarget.CommonType(_targets.Select(target => target.Weight));

    public override ITrainedModel Load()
    {
        _frozen = new FrozenModule(_model.Module);
        _wasTraining = _model.Module.training;
        return _model;
    }

    public override AdapterSet Inject(AdapterMethod method) =>
        _adapters = AdapterSet.Inject(_targets.Select(target => new TensorTarget(target.Path, target.Weight)), method, _options.CancellationToken);

    public override AdapterWeights? Keep(AdapterSet adapters) => null;

    public override SorsaTransformer Finish(PromptEncoder prompts, MergeReport report, AdapterWeights? trained) =>
        new(_model, prompts, _options.Generation, _options.PromptColumnName, _options.OutputColumnName) { MergeReport = report };

    public override void Dispose()
    {
        if (_frozen is not null)
        {
            _adapters?.Discard();
            _frozen.Dispose();
            _model.train(_wasTraining);
        }

        (_adapters, _frozen) = (null, null);
    }
}
