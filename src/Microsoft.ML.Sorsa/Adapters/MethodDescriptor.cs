using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

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

    /// <summary>γ where nothing is set.</summary>
    public double DefaultGamma { get; init; }

    /// <summary>It must know the steps of the run, which a training loop of the user's own does not tell.</summary>
    public bool NeedsTotalSteps { get; init; }

    /// <summary>The method that checked settings describe, for one run.</summary>
    /// <exception cref="ArgumentException">The settings do not fit the steps of the run.</exception>
    public required Func<MethodSettings, MethodRun, AdapterMethod> Create { get; init; }

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

    /// <summary>It trains every weight, and not that of chosen projections.</summary>
    public bool TrainsEveryWeight => !Options.HasFlag(MethodOptions.TargetModules);

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
    public int? RequiredRank(MethodSettings settings) => !Options.HasFlag(MethodOptions.Rank) ? null
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

    /// <summary>What every product of low rank has.</summary>
    LowRank = TargetModules | Rank | Alpha | Dropout | Quantization,
}

/// <summary>A tensor that files keep of an adapter.</summary>
/// <param name="Name">Its name there, behind the projection's.</param>
/// <param name="Axes">Its shape.</param>
internal sealed record AdapterTensor(string Name, params Axis[] Axes)
{
    /// <summary>LoRA's A, and what every LoRA-like method of PEFT calls so.</summary>
    public static AdapterTensor LoraA { get; } = new("lora_A", Axis.Rank, Axis.In) { PeftName = "lora_A.weight" };

    /// <summary>LoRA's B.</summary>
    public static AdapterTensor LoraB { get; } = new("lora_B", Axis.Out, Axis.Rank) { PeftName = "lora_B.weight" };

    /// <summary>The product that training started from, where W lost it: B of it.</summary>
    public static AdapterTensor StartB { get; } = new(LowRankAdapter.StartB, Axis.Out, Axis.Rank);

    /// <summary>A of it.</summary>
    public static AdapterTensor StartA { get; } = new(LowRankAdapter.StartA, Axis.Rank, Axis.In);

    /// <summary>Its name in PEFT's files; null where they lack it.</summary>
    public string? PeftName { get; init; }

    /// <summary>The shape in an adapter of rank r over a weight [out, in].</summary>
    public long[] Shape(long rows, long columns, long rank) =>
        [.. Axes.Select(axis => axis switch { Axis.Out => rows, Axis.In => columns, Axis.Rank => rank, _ => 1 })];
}

/// <summary>What an axis of a tensor runs over.</summary>
internal enum Axis
{
    /// <summary>The outputs of the projection.</summary>
    Out,

    /// <summary>Its inputs.</summary>
    In,

    /// <summary>r.</summary>
    Rank,

    /// <summary>Nothing: an axis of size 1.</summary>
    One,
}

/// <summary>How PEFT's adapter_config.json says that a LORA adapter is of this method.</summary>
/// <param name="UseRsLora">use_rslora: c = lora_alpha / √r.</param>
/// <param name="UseDora">use_dora.</param>
/// <param name="InitLoraWeights">init_lora_weights, where the method's start changes the base; what follows an underscore is read as the
/// same.</param>
internal sealed record PeftForm(bool UseRsLora = false, bool UseDora = false, string? InitLoraWeights = null);
