using Microsoft.ML.Sorsa.Checkpoints;
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
    private const string DecoderName = "model";
    private const string HeadName = "lm_head";
    private const string HeadWeight = $"{HeadName}.weight";

    [ComponentName(Name = DecoderName)]
    private readonly Decoder _model;

    [ComponentName(Name = HeadName)]
    private readonly Linear? _head;

    private CausalLM(DecoderConfig config, WeightSource weights)
        : base(nameof(CausalLM))
    {
        Config = config;
        (_model, _head) = Build(config.Spec, weights);

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

    /// <summary>Of the checkpoint that it was loaded from: what an adapter's file names its base by.</summary>
    public required string Fingerprint { get; init; }

    public required Device Device { get; init; }

    /// <summary>The projections of every layer, in the order of the layers.</summary>
    public IEnumerable<ProjectionSlot> Projections => _model.Projections;

    /// <summary>Every weight by its checkpoint name, in ordinal order: a projection that was exchanged stands where it stood.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> NamedWeights =>
        [.. named_parameters().Select(named => KeyValuePair.Create<string, Tensor>(named.name, named.parameter))
            .OrderBy(named => named.Key, StringComparer.Ordinal)];

    /// <summary>What a model of these sizes consists of; no weight is allocated.</summary>
    public static DecoderLayout Layout(DecoderSpec spec)
    {
        var recorded = new RecordedWeights();
        (Decoder model, _) = Build(spec, recorded);
        return new DecoderLayout(recorded.Shapes, [.. model.Projections.Select(
            slot => new ProjectionShape(slot.Path, slot.Name, recorded.Shapes[slot.WeightName]))]);
    }

    /// <summary>Takes the weights out of a checkpoint, after all its names and shapes were compared with the configuration.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="checkpoint">Left without the weights; where type and device are those stored, they are not copied.</param>
    /// <param name="type">What to compute in.</param>
    /// <param name="device">Where to compute.</param>
    public static CausalLM Load(DecoderConfig config, Checkpoint checkpoint, ScalarType type, Device device)
    {
        DecoderLayout layout = Verify(config, checkpoint);
        ScalarType stored = checkpoint.StoredType;
        string fingerprint = checkpoint.Fingerprint(layout.Tensors.Keys);
        return new CausalLM(config, new LoadedWeights(checkpoint, type, device))
        {
            Type = type,
            StoredType = stored,
            Fingerprint = fingerprint,
            Device = device,
        };
    }

    /// <summary>Compares all names and shapes of a checkpoint with the configuration; looks at headers only.</summary>
    /// <returns>What the checkpoint holds.</returns>
    /// <exception cref="InvalidDataException">They differ; everything that does is listed.</exception>
    public static DecoderLayout Verify(DecoderConfig config, Checkpoint checkpoint)
    {
        // Before a list as long as the configuration claims is made.
        if (config.Spec.LayerCount > checkpoint.Names.Count)
        {
            throw new InvalidDataException(
                $"The configuration has {config.Spec.LayerCount} layers (num_hidden_layers), and its checkpoint "
                + $"{checkpoint.Names.Count} tensors in all, less than one a layer. "
                + "Use the config.json that was saved with these weights.");
        }

        DecoderLayout layout = Layout(config.Spec);
        checkpoint.Verify(layout.Tensors, IsSuperfluous);
        return layout;

        // A tied head is stored by some writers; old Llama checkpoints hold the rotary frequencies.
        bool IsSuperfluous(string name) =>
            (config.Spec.TieWordEmbeddings && name == HeadWeight) || name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);
    }

    /// <summary>Loads a Hugging Face folder.</summary>
    public static CausalLM Load(string folder, ScalarType type, Device device) =>
        Load(DecoderConfig.Load(folder), folder, _ => type, device);

    /// <summary>Loads the weights of a Hugging Face folder.</summary>
    /// <param name="config">Its config.json.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="type">What to compute in, given what the checkpoint is stored in.</param>
    /// <param name="device">Where to compute.</param>
    public static CausalLM Load(DecoderConfig config, string folder, Func<ScalarType, ScalarType> type, Device device)
    {
        using Checkpoint checkpoint = Checkpoint.OpenFolder(folder);
        return Load(config, checkpoint, type(checkpoint.StoredType), device);
    }

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
        Fingerprint = Fingerprint,
        Device = Device,
    };

    /// <summary>Rounds every weight that is not of this precision already: what runs is what a file of that type will hold.</summary>
    public void RoundTo(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach ((string name, Tensor weight) in NamedWeights.Where(named => named.Value.dtype != type))
        {
            using var one = NewDisposeScope();
            Tensor rounded = weight.to(type).to(weight.dtype);
            if (!rounded.isfinite().all().item<bool>())
            {
                throw new ArithmeticException(
                    $"The weight '{name}' holds values that {type} cannot. Choose Float32 or BFloat16 as SavedType.");
            }

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
    public Tensor Logits(Tensor inputIds, Tensor positions)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(LogitsOf(Embed(inputIds), positions));
    }

    /// <summary>The same from embedded tokens [B, T, hidden].</summary>
    public Tensor LogitsOf(Tensor embedded, Tensor positions)
    {
        using var scope = NewDisposeScope();

        // Logits only where they count: over a large vocabulary they are the largest tensor of a step.
        return scope.MoveToOuter(Logits(Forward(embedded).flatten(0, 1).index_select(0, positions)));
    }

    /// <summary>Hidden states [..., hidden] to logits [..., vocabulary].</summary>
    public Tensor Logits(Tensor hidden) => nn.functional.linear(hidden, _head?.weight ?? _model.Embedding.Weight);

    private static (Decoder Model, Linear? Head) Build(DecoderSpec spec, WeightSource weights) => (
        new Decoder(spec, DecoderName, weights),
        spec.TieWordEmbeddings ? null : nn.Linear(weights.Get(HeadWeight, spec.VocabularySize, spec.HiddenSize)));
}
