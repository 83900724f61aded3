using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Models;

/// <summary>
/// A decoder that predicts the next token, of whatever family. Its weights are frozen; what trains is put into
/// <see cref="Projections"/>.
/// </summary>
internal sealed class CausalLM : nn.Module, ITrainedModel
{
    private Lazy<string> _fingerprint = null!;

    [ComponentName(Name = DecoderWithHead.DecoderName)]
    private readonly Decoder _model;

    [ComponentName(Name = DecoderWithHead.HeadName)]
    private readonly Linear? _head;

    private CausalLM(DecoderConfig config, WeightSource weights)
        : base(nameof(CausalLM))
    {
        Config = config;
        (_model, _head) = DecoderWithHead.Build(config.Spec, weights);

        // The fields under the names they carry, not under their own: TorchSharp does this by itself for every module but the root.
        RegisterComponents();
    }

    /// <summary>What is saved beside its weights.</summary>
    public DecoderConfig Config { get; }

    public DecoderSpec Spec => Config.Spec;

    /// <summary>What it computes in.</summary>
    public required ScalarType Type { get; init; }

    /// <summary>What its checkpoint is stored in.</summary>
    public required ScalarType StoredType { get; init; }

    /// <summary>
    /// Of the weights that it was loaded with: what an adapter's file names its base by. It takes one look at every value, when it is first
    /// asked for: that must be before anything is put into the projections, or any weight trains.
    /// </summary>
    public string Fingerprint => _fingerprint.Value;

    /// <summary>What files of version 0.1 have for <see cref="Fingerprint"/>.</summary>
    public required string SampledFingerprint { get; init; }

    public required Device Device { get; init; }

    /// <inheritdoc/>
    public bool GradientCheckpointing
    {
        get => _model.GradientCheckpointing;
        set => _model.GradientCheckpointing = value;
    }

    /// <summary>The projections of every layer, in the order of the layers.</summary>
    public IEnumerable<ProjectionSlot> Projections => _model.Projections;

    /// <summary>Every weight by its checkpoint name, in ordinal order: a projection that was exchanged stands where it stood.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> NamedWeights =>
        [.. named_parameters().Select(named => KeyValuePair.Create<string, Tensor>(named.name, named.parameter))
            .OrderBy(named => named.Key, StringComparer.Ordinal)];

    /// <inheritdoc cref="DecoderWithHead.Layout"/>
    public static DecoderLayout Layout(DecoderSpec spec) => DecoderWithHead.Layout(spec);

    /// <summary>Takes the weights out of a checkpoint, after all its names and shapes were compared with the configuration.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="checkpoint">Left without the weights; where type and device are those stored, they are not copied.</param>
    /// <param name="type">What to compute in.</param>
    /// <param name="device">Where to compute.</param>
    public static CausalLM Load(DecoderConfig config, Checkpoint checkpoint, ScalarType type, Device device) =>
        Load(StoredDecoder.Match(config, checkpoint), type, device);

    /// <summary>The same from a checkpoint that was compared already.</summary>
    public static CausalLM Load(StoredDecoder stored, ScalarType type, Device device)
    {
        IReadOnlyDictionary<string, Tensor> tensors = stored.Checkpoint.Tensors;
        ScalarType storedType = stored.StoredType;
        string sampled = WeightsFingerprint.Sampled(tensors);

        // Of what is loaded, unless the conversion loses something: then of what is stored, which is here only now.
        bool survives = tensors.Values.All(tensor => WeightsFingerprint.Survives(tensor.dtype, type));
        string? ofStored = survives ? null : WeightsFingerprint.Of(tensors);
        var model = new CausalLM(stored.Config, new LoadedWeights(stored.Checkpoint, type, device))
        {
            Type = type,
            StoredType = storedType,
            SampledFingerprint = sampled,
            Device = device,
        };
        IReadOnlyList<KeyValuePair<string, Tensor>> weights = model.NamedWeights;
        model._fingerprint = ofStored is null ? new Lazy<string>(() => WeightsFingerprint.Of(weights)) : new Lazy<string>(ofStored);
        return model;
    }

    /// <summary>Loads a Hugging Face folder.</summary>
    public static CausalLM Load(string folder, ScalarType type, Device device) =>
        Load(DecoderConfig.Load(folder), folder, _ => type, device);

    /// <summary>Loads the weights of a Hugging Face folder.</summary>
    /// <param name="config">Its config.json.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="type">What to compute in, given what the checkpoint is stored in.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="map">Maps its files instead of reading them.</param>
    public static CausalLM Load(
        DecoderConfig config, string folder, Func<ScalarType, ScalarType> type, Device device, bool map = true)
    {
        using Checkpoint checkpoint = Checkpoint.OpenFolder(folder, map);
        StoredDecoder stored = StoredDecoder.Match(config, checkpoint);
        return Load(stored, type(stored.StoredType), device);
    }

    /// <summary>Whether a file's fingerprint, of this version or of 0.1, is that of this model.</summary>
    public bool HasFingerprint(string fingerprint) =>
        fingerprint == (WeightsFingerprint.IsOfEveryValue(fingerprint) ? Fingerprint : SampledFingerprint);

    /// <summary>
    /// Another model over the same weights, of which no byte is copied: in each the projections may be exchanged, and neither may be
    /// written into. Either is disposed for itself.
    /// </summary>
    /// <param name="spec">What it computes, over the same shapes; null: the same.</param>
    public CausalLM Share(DecoderSpec? spec = null) => new(
        spec is null ? Config : Config.With(spec), new SharedWeights(NamedWeights.ToDictionary(StringComparer.Ordinal)))
    {
        Type = Type,
        StoredType = StoredType,
        _fingerprint = _fingerprint,
        SampledFingerprint = SampledFingerprint,
        Device = Device,
    };

    /// <summary>Rounds every weight that is not of this precision already: what runs is what a file of that type will hold.</summary>
    public void RoundTo(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach ((string name, Tensor weight) in NamedWeights.Where(named => !WeightsFingerprint.Survives(named.Value.dtype, type)))
        {
            using var one = NewDisposeScope();
            SavedRange.Verify(name, weight, type);
            Tensor rounded = weight.to(type).to(weight.dtype);
            if (!rounded.eq(weight).all().item<bool>())
            {
                // Not in place: the weight may be a file's mapped bytes.
                weight.set_(rounded);
            }
        }
    }

    /// <summary>Token ids [B, T] (int64) to vectors [B, T, hidden].</summary>
    public Tensor Embed(Tensor inputIds) => _model.Embedding.call(inputIds);

    /// <inheritdoc cref="Decoder.Forward"/>
    public Tensor Forward(Tensor embedded, Tensor? attentionMask = null, KVCache? cache = null) =>
        _model.Forward(embedded, attentionMask, cache);

    /// <inheritdoc/>
    public Tensor Hidden(Tensor inputIds, Tensor positions)
    {
        using var scope = NewDisposeScope();

        // Only where a token counts: over a large vocabulary the logits are the largest tensors of a step.
        return scope.MoveToOuter(Forward(Embed(inputIds)).flatten(0, 1).index_select(0, positions));
    }

    /// <inheritdoc/>
    public Tensor Head(Tensor hidden) => Logits(hidden);

    /// <summary>Hidden states [..., hidden] to logits [..., vocabulary].</summary>
    public Tensor Logits(Tensor hidden)
    {
        Tensor head = _head?.weight ?? _model.Embedding.Weight;
        return FewRowsProduct.Linear(hidden, head, null);
    }

    /// <summary>What it held goes back to the operating system.</summary>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            KeptMemory.GiveBack();
        }
    }
}
