using System.Globalization;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Optimizers;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using AdamW = Microsoft.ML.Sorsa.Optimizers.AdamW;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>A way of fine-tuning: how a projection's adapter starts, and what the method does beside the loss's gradient.</summary>
internal abstract class AdapterMethod
{
    /// <summary>The entry of <see cref="MethodCatalog"/> that it was made from; null for one that is in no catalog.</summary>
    public abstract MethodDescriptor? Method { get; }

    /// <summary>Dropout in front of what trains; null: none.</summary>
    public InputDropout? Dropout { get; init; }

    /// <summary>The weight beside the trained part is kept in NF4.</summary>
    public bool Quantized { get; init; }

    /// <summary>What else trains: every weight of the model that is in no adapter.</summary>
    public virtual bool TrainsEveryWeight => false;

    /// <summary>The penalty on <see cref="Adapter.OrthonormalFactors"/>, or null.</summary>
    public virtual OrthonormalityPenalty? Penalty => null;

    /// <summary>
    /// The adapter of one projection, at its start. It may keep the projection's weight (see <see cref="Adapter.Keeps"/>), and keeps its
    /// bias; it changes neither.
    /// </summary>
    /// <param name="path">The projection's checkpoint name.</param>
    /// <param name="linear">The projection.</param>
    public abstract Adapter Create(string path, Linear linear);

    /// <summary>What updates everything that trains.</summary>
    /// <param name="trained">By name; not owned.</param>
    /// <param name="adapters">All of them, in the order in which they were made.</param>
    /// <param name="settings">What AdamW is told.</param>
    public virtual IOptimizer CreateOptimizer(
        IReadOnlyList<KeyValuePair<string, Parameter>> trained, IReadOnlyList<Adapter> adapters, AdamWSettings settings) =>
        new AdamW(trained, settings);

    /// <summary>What happens once the optimizer has made a step; the gradients are still set.</summary>
    /// <param name="adapters">All of them, in the order in which they were made.</param>
    /// <param name="step">Counted from 0.</param>
    public virtual void AfterStep(IReadOnlyList<Adapter> adapters, int step)
    {
    }

    /// <summary>A projection's weight as it is kept beside a trained update: itself, or quantised; and what quantising cost.</summary>
    protected (FrozenWeight Frozen, QuantizationError? Error) Freeze(Linear linear)
    {
        if (!Quantized)
        {
            return (new PlainWeight(linear.weight), null);
        }

        var quantized = new Nf4Weight(linear.weight);
        double error = QuantizationError.Relative(linear.weight, quantized, null);
        return (quantized, new QuantizationError(error, null, error));
    }
}

/// <summary>A weighted penalty on what should be orthonormal.</summary>
/// <param name="Weight">γ; above 0.</param>
/// <param name="Mean">The mean over the matrices; otherwise their sum.</param>
/// <param name="InLoss">
/// True: γ · L_reg is a summand of the loss, and clipped with it (AdaLoRA). False: its gradient joins the clipped one, times γ / η_d
/// (SORSA, Eq. 11).
/// </param>
internal sealed record OrthonormalityPenalty(double Weight, bool Mean, bool InLoss);

/// <summary>
/// All that the library knows of a method: its names, its options, how it starts, what files keep of it. A method's folder defines one, and
/// <see cref="MethodCatalog"/> lists it; docs/adding-a-method.md shows how.
/// </summary>
internal sealed record MethodDescriptor
{
    /// <summary>What users call it.</summary>
    public required FineTuningMethod Method { get; init; }

    /// <summary>What files call it, in lower case.</summary>
    public required string Name { get; init; }

    /// <summary>The options that it has; the others must be left at their defaults.</summary>
    public required MethodOptions Options { get; init; }

    /// <summary>
    /// η_d where nothing is set: for a small model and some 100 steps, at <see cref="MethodSettings.DefaultRank"/> and Alpha's default.
    /// Where each value comes from stands in docs/options.md.
    /// </summary>
    public required double DefaultLearningRate { get; init; }

    /// <summary>γ where nothing is set.</summary>
    public double DefaultGamma { get; init; }

    /// <summary>It must know the steps of the run, which a training loop of the user's own does not tell.</summary>
    public bool NeedsTotalSteps { get; init; }

    /// <summary>Whether it trains every weight, and not those of the targets alone.</summary>
    public Func<MethodSettings, bool> TrainsEveryWeight { get; init; } = _ => false;

    /// <summary>What to do where nothing but the targets can train, without a full stop.</summary>
    public string TargetsAlone { get; init; } = $"Use {FineTuningMethod.Partial} with {nameof(MethodOptions.TargetModules)}";

    /// <summary>It is a way of updating weights, which a training loop of the user's own does for itself.</summary>
    public bool IsOptimizer { get; init; }

    /// <summary>A rank above the smaller side of a matrix means that side there, and is no error.</summary>
    public bool CutsRank { get; init; }

    /// <summary>How many of a model's decoder layers train at a time, given how many there are; null: all of what trains does.</summary>
    public Func<MethodSettings, int, int>? LayersAtATime { get; init; }

    /// <summary>The method that checked settings describe, for one run.</summary>
    /// <exception cref="ArgumentException">The settings do not fit the steps of the run.</exception>
    public required Func<MethodSettings, MethodRun, AdapterMethod> Create { get; init; }

    /// <summary>What the adapter of one projection takes: the method's part of the estimate of memory before training.</summary>
    public required Func<MethodSettings, AdaptedShape, AdapterMemory> Memory { get; init; }

    /// <summary>What files keep of each projection; empty where there is nothing but a trained weight.</summary>
    public IReadOnlyList<AdapterTensor> Tensors { get; init; } = [];

    /// <summary>An adapter from what files keep, over its projection; null where files keep nothing.</summary>
    public Func<SavedProjection, LowRankAdapter>? Restore { get; init; }

    /// <summary>How PEFT's format has it; null where it has not.</summary>
    public PeftForm? Peft { get; init; }

    /// <summary>Why the update is no LoRA over the untouched base, and what to choose instead; null where it is one.</summary>
    public string? NoLoraDifference { get; init; }

    /// <summary>Whether it has an option; those that every method has are not in <see cref="Options"/>.</summary>
    /// <param name="option">The name of the trainer's.</param>
    public bool Has(string option) => !Enum.TryParse(option, out MethodOptions flag) || Options.HasFlag(flag);

    /// <summary>Refuses what does not belong to the method, and what of it does not fit together.</summary>
    /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
    public void Verify(MethodSettings settings)
    {
        foreach ((string name, object? value) in settings.SetOptions)
        {
            VerifyHas(name, value);
        }

        settings.Verify();
    }

    /// <summary>Refuses an option that is set and does not belong to the method.</summary>
    public void VerifyHas(string option, object? value)
    {
        if (!Has(option))
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"{option} is {value}; it does not belong to Method {Method}. Leave it at its default, or choose a method that has it."),
                option);
        }
    }

    /// <summary>The rank to compare with the sides of the targets; null where the method has none.</summary>
    public int? RequiredRank(MethodSettings settings) => !Options.HasFlag(MethodOptions.Rank) || CutsRank ? null
        : settings.Triplets == SingularTriplets.Slice ? settings.RankOrDefault + settings.SliceStart
        : settings.RankOrDefault;

    /// <summary>The size of an axis, from the first of one projection's tensors that has it; 0 where none has.</summary>
    public long SizeOf(Axis axis, IReadOnlyDictionary<string, Tensor> tensors)
    {
        foreach (AdapterTensor described in Tensors)
        {
            int at = Array.IndexOf(described.Axes, axis);
            if (at >= 0 && tensors.GetValueOrDefault(described.Name) is { } tensor && tensor.dim() == described.Axes.Length)
            {
                return tensor.shape[at];
            }
        }

        return 0;
    }
}

/// <summary>The options that not every method has, by the names of the trainer's.</summary>
[Flags]
internal enum MethodOptions
{
    None = 0,
    TargetModules = 1 << 0,
    Rank = 1 << 1,
    Alpha = 1 << 2,
    Dropout = 1 << 3,
    Quantization = 1 << 4,
    QuantizationRounds = 1 << 5,
    Gamma = 1 << 6,
    RegularizerReduction = 1 << 7,
    Triplets = 1 << 8,
    SliceStart = 1 << 9,
    HardOrthonormality = 1 << 10,
    RankBudget = 1 << 11,
    GradientProjection = 1 << 12,
    LayerSampling = 1 << 13,

    /// <summary>What every product of low rank has.</summary>
    LowRank = TargetModules | Rank | Alpha | Dropout | Quantization,
}
