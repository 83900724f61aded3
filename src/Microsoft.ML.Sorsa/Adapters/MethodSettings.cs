using Microsoft.ML.Sorsa.Adapters.Decompositions;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>
/// What a user sets of a method, under the names of the trainer's options, which say what each of them means and check it.
/// </summary>
internal sealed record MethodSettings
{
    /// <summary>r where nothing is set.</summary>
    public const int DefaultRank = 16;

    /// <summary>Null: <see cref="DefaultRank"/>.</summary>
    public int? Rank { get; init; }

    /// <summary>Null: as the rank.</summary>
    public double? Alpha { get; init; }

    /// <summary>Null: the method's own.</summary>
    public double? Gamma { get; init; }

    public double Dropout { get; init; }

    public RegularizerReduction RegularizerReduction { get; init; } = RegularizerReduction.Mean;

    public SingularTriplets Triplets { get; init; } = SingularTriplets.Leading;

    public int? SliceStart { get; init; }

    public bool HardOrthonormality { get; init; }

    /// <summary>Null: the default one.</summary>
    public RankBudget? RankBudget { get; init; }

    public BaseQuantization Quantization { get; init; } = BaseQuantization.None;

    public int QuantizationRounds { get; init; } = 1;

    /// <summary>r.</summary>
    public int RankOrDefault => Rank ?? DefaultRank;

    /// <summary>c = α / r.</summary>
    public double Scale => Alpha / RankOrDefault ?? 1;

    /// <summary>The weights beside what trains are kept in NF4.</summary>
    public bool IsQuantized => Quantization == BaseQuantization.NF4;
}

/// <summary>What a run brings to its method.</summary>
/// <param name="TotalSteps">The steps of the run.</param>
/// <param name="Initialization">Where the adapters' start is drawn from; on the CPU.</param>
/// <param name="Decomposition">Where the leading singular triplets come from.</param>
/// <param name="DropoutGenerator">Where dropout draws from; on the model's device.</param>
internal sealed record MethodRun(int TotalSteps, Generator Initialization, Decomposition Decomposition, Generator DropoutGenerator)
{
    /// <summary>The dropout that the settings ask for; null: none.</summary>
    public InputDropout? InputDropout(MethodSettings settings) =>
        settings.Dropout > 0 ? new InputDropout(settings.Dropout, DropoutGenerator) : null;
}
