using Microsoft.ML.Sorsa.Adapters.Decompositions;
using Microsoft.ML.Sorsa.Files;
using static Microsoft.ML.Sorsa.Files.OptionRange;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// What a user sets of a method, under the names of the trainer's options, which say what each of them means and check it.
/// </summary>
internal sealed record MethodSettings
{
    /// <summary>r where nothing is set.</summary>
    public const int DefaultRank = 16;

    /// <summary>How often decomposition and quantisation take turns where nothing is set.</summary>
    public const int DefaultQuantizationRounds = 1;

    /// <summary>What to do about values outside of their range, said in two sets of options.</summary>
    public const string RankRemedy = "Choose a larger number", AlphaRemedy = "Leave it null for c = 1, as in the paper",
        GammaRemedy = "Use 0 for SORSA without regularizer, 4e-4 as the paper does";

    /// <summary>Null: <see cref="DefaultRank"/>.</summary>
    public int? Rank { get; init; }

    /// <summary>Null: as the rank.</summary>
    public double? Alpha { get; init; }

    /// <summary>Null: the method's own.</summary>
    public double? Gamma { get; init; }

    public double Dropout { get; init; }

    public RegularizerReduction RegularizerReduction { get; init; }

    public SingularTriplets Triplets { get; init; }

    public int? SliceStart { get; init; }

    public bool HardOrthonormality { get; init; }

    /// <summary>Null: the default one.</summary>
    public RankBudget? RankBudget { get; init; }

    /// <summary>Null: the default one.</summary>
    public GradientProjection? GradientProjection { get; init; }

    /// <summary>Null: the default one.</summary>
    public LayerSampling? LayerSampling { get; init; }

    public BaseQuantization Quantization { get; init; }

    public int QuantizationRounds { get; init; } = DefaultQuantizationRounds;

    /// <summary>r.</summary>
    public int RankOrDefault => Rank ?? DefaultRank;

    /// <summary>T and α.</summary>
    public GradientProjection GradientProjectionOrDefault => GradientProjection ?? new GradientProjection();

    /// <summary>γ and K.</summary>
    public LayerSampling LayerSamplingOrDefault => LayerSampling ?? new LayerSampling();

    /// <summary>c = α / r.</summary>
    public double Scale => Alpha / RankOrDefault ?? 1;

    /// <summary>The weights beside what trains are kept in NF4.</summary>
    public bool IsQuantized => Quantization == BaseQuantization.NF4;

    /// <summary>What is not at its default.</summary>
    public IEnumerable<(string Name, object? Value)> SetOptions =>
        from option in new (string Name, object? Value, bool IsSet)[]
        {
            (nameof(Rank), Rank, Rank is not null),
            (nameof(Alpha), Alpha, Alpha is not null),
            (nameof(Dropout), Dropout, Dropout != 0),
            (nameof(Quantization), Quantization, Quantization != BaseQuantization.None),
            (nameof(Gamma), Gamma, Gamma is not null),
            (nameof(RegularizerReduction), RegularizerReduction, RegularizerReduction != RegularizerReduction.Mean),
            (nameof(Triplets), Triplets, Triplets != SingularTriplets.Leading),
            (nameof(SliceStart), SliceStart, SliceStart is not null),
            (nameof(HardOrthonormality), HardOrthonormality, HardOrthonormality),
            (nameof(RankBudget), RankBudget, RankBudget is not null),
            (nameof(GradientProjection), GradientProjection, GradientProjection is not null),
            (nameof(LayerSampling), LayerSampling, LayerSampling is not null),
            (nameof(QuantizationRounds), QuantizationRounds, QuantizationRounds != DefaultQuantizationRounds),
        }
        where option.IsSet
        select (option.Name, option.Value);

    /// <summary>Refuses what does not fit together.</summary>
    /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
    public void Verify()
    {
        VerifyTriplets();
        VerifyBudget(RankBudget ?? new RankBudget());
        OptionRange.Verify(GradientProjectionOrDefault, $"{nameof(GradientProjection)}.");
        OptionRange.Verify(LayerSamplingOrDefault, $"{nameof(LayerSampling)}.");
    }

    /// <summary>Refuses what a model of so many decoder layers does not allow.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Names the option, its value, the limit and the remedy.</exception>
    public void VerifyLayers(int layers)
    {
        if (LayerSampling?.Layers > layers)
        {
            throw Error(
                $"{nameof(LayerSampling)}.{nameof(LayerSampling.Layers)}", LayerSampling.Layers,
                FormattableString.Invariant($"from 1 to the {layers} layers of the model"),
                FormattableString.Invariant($"Leave it null for {new LayerSampling().CountOf(layers)}"));
        }
    }

    /// <summary>Refuses what an adapter of a model object cannot have: it computes with the adapted weight itself.</summary>
    public void VerifyForModule(string why, string remedy)
    {
        Fit(Dropout == 0, nameof(Dropout), Dropout,
            $"a model object computes with the adapted weight itself, so that an adapter has no input of its own{why}", remedy);
        Fit(Quantization == BaseQuantization.None, nameof(Quantization), Quantization,
            $"a model object computes with its own weights{why}", remedy);
    }

    /// <summary>
    /// Whether an option of the method's does anything beside what else is set; where it does not, it must be left at its default.
    /// </summary>
    public bool HasEffect(string name) => name switch
    {
        nameof(SliceStart) => Triplets == SingularTriplets.Slice,
        nameof(Gamma) or nameof(RegularizerReduction) => !HardOrthonormality,
        nameof(QuantizationRounds) => Quantization != BaseQuantization.None && Triplets == SingularTriplets.Leading,
        _ => true,
    };

    private void VerifyTriplets()
    {
        Fit(Triplets == SingularTriplets.Slice || SliceStart is null, nameof(SliceStart), SliceStart, $"{nameof(Triplets)} is {Triplets}",
            $"Set {nameof(Triplets)} to {SingularTriplets.Slice}, or leave {nameof(SliceStart)} null");
        Fit(Triplets != SingularTriplets.Slice || SliceStart >= 0, nameof(SliceStart), SliceStart,
            $"{nameof(Triplets)} is {Triplets}, which needs a start of at least 0", $"Set {nameof(SliceStart)}");
        Fit(!HardOrthonormality || Gamma is null or 0, nameof(Gamma), Gamma,
            $"{nameof(HardOrthonormality)} leaves no deviation to penalise",
            $"Leave {nameof(Gamma)} null, or {nameof(HardOrthonormality)} false");
        Fit(Quantization != BaseQuantization.None || QuantizationRounds == 1, nameof(QuantizationRounds), QuantizationRounds,
            $"{nameof(Quantization)} is {Quantization}",
            $"Set {nameof(Quantization)} to {BaseQuantization.NF4}, or leave {nameof(QuantizationRounds)} at 1");
        Fit(Triplets == SingularTriplets.Leading || QuantizationRounds == 1, nameof(QuantizationRounds), QuantizationRounds,
            $"{nameof(Triplets)} is {Triplets}; only the leading triplets can make up for what quantising loses",
            $"Leave {nameof(QuantizationRounds)} at 1, or {nameof(Triplets)} at {SingularTriplets.Leading}");
    }

    private void VerifyBudget(RankBudget budget)
    {
        OptionRange.Verify(budget, $"{nameof(RankBudget)}.");
        if (budget.TargetRank is { } target && (target < 1 || target > RankOrDefault))
        {
            throw Error(
                $"{nameof(RankBudget)}.{nameof(budget.TargetRank)}", budget.TargetRank,
                $"from 1 to {nameof(Rank)}, {RankOrDefault}", "Leave it null for half of Rank");
        }
    }
}

/// <summary>What a run brings to its method.</summary>
/// <param name="TotalSteps">The steps of the run.</param>
/// <param name="Initialization">Where the adapters' start is drawn from; on the CPU.</param>
/// <param name="Decomposition">Where the leading singular triplets come from.</param>
/// <param name="Seed">What decides the masks of dropout.</param>
internal sealed record MethodRun(int TotalSteps, Generator Initialization, Decomposition Decomposition, long Seed)
{
    /// <summary>The dropout that the settings ask for; null: none.</summary>
    public InputDropout? InputDropout(MethodSettings settings) =>
        settings.Dropout > 0 ? new InputDropout(settings.Dropout, Seed) : null;
}
