using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Models;

namespace Microsoft.ML.Sorsa.Memory;

/// <summary>
/// The memory of a training by closed formulas, from sizes alone. Each part has a property; the phases of a run say which parts there are
/// at the same time.
/// </summary>
internal sealed class TrainingMemory
{
    private const long Single = AdaptedShape.TrainedSize;

    private readonly ModelSizes _model;
    private readonly (AdaptedShape Shape, AdapterMemory Adapter)[] _adapters;
    private readonly LayerMemory _layer;
    private readonly LayerMemory _frozenLayer;
    private readonly LossMemory _loss;
    private readonly MergeMemory _merge;
    private readonly long[][] _otherWeights;
    private readonly long _trainedInLayers;
    private readonly int _trainedLayers;
    private readonly bool _trainsEveryWeight;
    private readonly TrainingPlan _plan;

    /// <param name="model">What is trained.</param>
    /// <param name="plan">How.</param>
    public TrainingMemory(ModelSizes model, TrainingPlan plan)
    {
        (_model, _plan) = (model, plan);
        _trainsEveryWeight = plan.Method.TrainsEveryWeight(plan.MethodSettings);
        _trainedLayers = plan.Method.LayersAtATime?.Invoke(plan.MethodSettings, model.Spec.LayerCount) ?? model.Spec.LayerCount;
        ProjectionShape[] targets = [.. model.Layout.Projections.Where(projection =>
            plan.TargetModules.Contains(projection.Name, StringComparer.Ordinal))];
        var kinds = targets.DistinctBy(target => target.Name).ToDictionary(
            target => target.Name,
            target => new AdaptedShape(target.Shape[0], target.Shape[1], model.TypeSize, model.ProductSize, model.OnCpu),
            StringComparer.Ordinal);
        var adapters = kinds.ToDictionary(
            kind => kind.Key, kind => plan.Method.Memory(plan.MethodSettings, kind.Value), StringComparer.Ordinal);
        _adapters = [.. targets.Select(target => (kinds[target.Name], adapters[target.Name]))];
        HashSet<string> weights = [.. targets.Select(target => $"{target.Path}.weight")];
        KeyValuePair<string, long[]>[] others = [.. model.Layout.Tensors.Where(tensor => !weights.Contains(tensor.Key))];
        _otherWeights = [.. others.Select(tensor => tensor.Value)];
        _trainedInLayers = _adapters.Sum(entry => entry.Adapter.Trained) + (_trainsEveryWeight
            ? others.Where(tensor => Decoder.LayerOf(tensor.Key) is not null).Sum(tensor => ModelSizes.Count(tensor.Value))
            : 0);
        if (_trainsEveryWeight)
        {
            // Projections that are no targets keep their inputs, too.
            foreach (ProjectionShape projection in model.Layout.Projections)
            {
                adapters.TryAdd(projection.Name, new AdapterMemory { Trained = 0 });
            }
        }

        _layer = new LayerMemory(model, adapters, _trainsEveryWeight);
        _frozenLayer = new LayerMemory(model, new Dictionary<string, AdapterMemory>(), trainsNorms: false);
        _loss = new LossMemory(model, plan.LogitsChunkSize);
        _merge = new MergeMemory(model);
    }

    /// <summary>The frozen weights in memory of their own: none that are mapped or shared; a residual takes its weight's place.</summary>
    public long Weights => _adapters.Sum(FrozenBytes) + OtherWeights(_model.OwnsWeights);

    /// <summary>What trains, in float32, and what the method keeps beside it.</summary>
    public long Adapters => (Trained * Single) + _adapters.Sum(entry => entry.Adapter.Kept);

    /// <summary>AdamW's two moments of each value that trains at a time, or what the method has in their place.</summary>
    public long Moments => Single * (
        _adapters.Sum(entry => entry.Adapter.Moments ?? (2 * entry.Adapter.Trained))
        + (2 * (Trained - _adapters.Sum(entry => entry.Adapter.Trained))) - (2 * FrozenAtATime));

    /// <summary>One gradient for each value that trains at a time.</summary>
    public long Gradients => (Trained - FrozenAtATime) * Single;

    /// <summary>The weights of the lowest validation loss, where there are validation rows.</summary>
    public long BestWeights => _plan.Validation.Count > 0 ? Trained * Single : 0;

    /// <summary>Values that train.</summary>
    private long Trained => _adapters.Sum(entry => entry.Adapter.Trained)
        + (_trainsEveryWeight ? _otherWeights.Sum(ModelSizes.Count) : 0);

    /// <summary>Values of layers that train at another time; all layers are of a size.</summary>
    private long FrozenAtATime => _trainedInLayers / _model.Spec.LayerCount * (_model.Spec.LayerCount - _trainedLayers);

    /// <summary>What backward finds of a micro-batch, in all layers and the last norm.</summary>
    public long Activations(BatchSizes batch) => (batch.Tokens * _layer.NormInput) + (_plan.GradientCheckpointing
        ? _model.Spec.LayerCount * _layer.Checkpoints(batch)
        : (_trainedLayers * _layer.Kept(batch)) + ((_model.Spec.LayerCount - _trainedLayers) * _frozenLayer.Kept(batch)));

    /// <summary>The scores at the labels of a micro-batch, a chunk of them, in backward.</summary>
    public long Logits(BatchSizes batch) => _loss.Training(batch);

    /// <summary>
    /// Loading, and making the adapters one after the other: each beside the weights that were not reached yet and the adapters that were.
    /// </summary>
    public long Start
    {
        get
        {
            // The fingerprint looks at narrow weights in float32, a piece at a time.
            long now = _model.OwnsWeights ? _model.WeightBytes : 0;
            long piece = _model.TypeSize < Single
                ? Single * Math.Min(WeightsFingerprint.ChunkLength, _model.Layout.Tensors.Values.Max(ModelSizes.Count))
                : 0;
            long most = Math.Max(_model.ReadBytes, now + piece);
            foreach ((AdaptedShape shape, AdapterMemory adapter) in _adapters)
            {
                most = Math.Max(most, now + adapter.Start);
                now += FrozenBytes((shape, adapter)) - (_model.OwnsWeights ? shape.Count * _model.TypeSize : 0)
                    + (adapter.Trained * Single) + adapter.Kept;
            }

            return Math.Max(most, Weights + Adapters);
        }
    }

    /// <summary>The largest moment of a step over a micro-batch.</summary>
    public long Step(BatchSizes batch)
    {
        long state = Weights + Adapters + Moments + BestWeights;
        long earlier = _plan.Accumulates ? Gradients : 0;
        long activations = Activations(batch);

        // With checkpointing a block is computed again beside the inputs of those in front of it. What backward is through with is gone.
        (long forward, long last, long first) = _plan.GradientCheckpointing
            ? (_layer.Recomputed(batch), _layer.KeptByBlock(batch), _layer.Checkpoints(batch) + _layer.KeptByBlock(batch))
            : (_layer.Forward(batch), 0, _layer.Kept(batch));

        // At the end of forward, at the loss, in the last layer's backward, in the first one's, in the update.
        return state + new[]
        {
            earlier + activations + forward + _layer.Working(batch),
            earlier + activations + Loss(batch),
            earlier + activations + last + _layer.Backward(batch) + _layer.Working(batch),
            Gradients + first + _layer.Backward(batch) + _layer.Working(batch) + EmbeddingGradient,
            Gradients + _adapters.Select(entry => entry.Adapter.AfterStep).DefaultIfEmpty().Max(),
        }.Max();
    }

    /// <summary>Looking at the validation rows, and taking a copy of what was the best before the last copy goes.</summary>
    public long Validation => _plan.Validation.Count == 0 ? 0 : Weights + Adapters + Moments + Math.Max(
        2 * BestWeights,
        BestWeights + _plan.Validation.Max(batch =>
            Math.Max(_layer.Kept(batch) + _layer.Forward(batch) + _layer.Working(batch), _loss.Evaluating(batch))));

    /// <summary>The end: the report, then the merge, in which every target gets a weight of its own and its adapter goes.</summary>
    public long End
    {
        get
        {
            long saved = _model.OnCpu ? _adapters.Sum(entry => entry.Adapter.Saved) : 0;
            long merged = _adapters.Sum(entry => entry.Shape.Count * _model.TypeSize)
                + OtherWeights(_model.OwnsWeights || _trainsEveryWeight);
            return new[]
            {
                Weights + Adapters + Largest(_merge.Report),
                saved + Math.Max(Weights + Adapters, merged) + Largest(MergeMemory.Merge),
                saved + merged + _model.Layout.Tensors.Values.Max(_merge.Round),
            }.Max();
        }
    }

    /// <summary>The scores; where the head trains, its gradient beside what is left of them, and beside that of earlier chunks.</summary>
    private long Loss(BatchSizes batch) => Math.Max(Logits(batch), HeadGradient == 0 ? 0 : (Logits(batch) / 2) + HeadGradient)
        + (batch.Labels > _plan.LogitsChunkSize ? HeadGradient : 0);

    /// <summary>Where everything trains, the head's gradient is there from the loss to the embedding's.</summary>
    private long HeadGradient => _trainsEveryWeight ? (long)_model.Spec.VocabularySize * _model.Spec.HiddenSize * Single : 0;

    /// <summary>The embedding's own, before it is added: on a CPU that of a tied one is a few rows.</summary>
    private long EmbeddingGradient => _model.OnCpu && _model.Spec.TieWordEmbeddings ? 0 : HeadGradient;

    private long FrozenBytes((AdaptedShape Shape, AdapterMemory Adapter) entry) => entry.Adapter.Frozen switch
    {
        FrozenForm.Nf4 => Nf4Weight.SizeOf(entry.Shape.Count),
        FrozenForm.Residual => entry.Shape.Count * _model.TypeSize,
        _ => _model.OwnsWeights ? entry.Shape.Count * _model.TypeSize : 0,
    };

    private long OtherWeights(bool own) => own ? _otherWeights.Sum(ModelSizes.Count) * _model.TypeSize : 0;

    private long Largest(Func<AdaptedShape, long> part) => _adapters.Select(entry => part(entry.Shape)).DefaultIfEmpty().Max();
}

/// <summary>How a model is trained, as far as memory is concerned.</summary>
internal sealed record TrainingPlan
{
    public required MethodDescriptor Method { get; init; }

    public required MethodSettings MethodSettings { get; init; }

    public required IReadOnlyList<string> TargetModules { get; init; }

    /// <summary>The micro-batches of the validation rows; empty where there are none.</summary>
    public required IReadOnlyList<BatchSizes> Validation { get; init; }

    /// <summary>A step has several micro-batches: gradients are there while the next one goes through the model.</summary>
    public required bool Accumulates { get; init; }

    /// <summary>A layer keeps its blocks' inputs alone, and computes the rest again in backward.</summary>
    public required bool GradientCheckpointing { get; init; }

    /// <summary>Labelled tokens whose scores are computed at a time.</summary>
    public required int LogitsChunkSize { get; init; }
}
