using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa;

/// <summary>
/// What <see cref="SorsaAdapters.Attach"/> is told: as the trainer's options of the same names, with their ranges and errors.
/// </summary>
public sealed record SorsaAdapterOptions
{
    /// <summary>
    /// What trains. Default <see cref="FineTuningMethod.Sorsa"/>; not Full, not AdaLora, whose budget needs a number of
    /// steps, and not GaLore or Lisa, which are optimizers.
    /// </summary>
    public FineTuningMethod Method { get; init; }

    /// <summary>r. Default null: 16; from 1 to the smaller side of the smallest target.</summary>
    [OptionRange(1, int.MaxValue, MethodSettings.RankRemedy)]
    public int? Rank { get; init; }

    /// <summary>
    /// Scales the trained part by Alpha / Rank, in rank-stabilised LoRA by Alpha / √Rank. Default null: as Rank; above 0.
    /// </summary>
    [OptionRange(0, double.MaxValue, MethodSettings.AlphaRemedy, MinimumIsExclusive = true)]
    public double? Alpha { get; init; }

    /// <summary>γ, the weight of SORSA's penalty. Default null: 4e-4; at least 0.</summary>
    [OptionRange(0, double.MaxValue, MethodSettings.GammaRemedy)]
    public double? Gamma { get; init; }

    /// <summary>How the penalty adds up over the matrices. Default <see cref="RegularizerReduction.Mean"/>.</summary>
    [OptionDefined]
    public RegularizerReduction RegularizerReduction { get; init; }

    /// <summary>The singular triplets that SORSA trains. Default <see cref="SingularTriplets.Leading"/>.</summary>
    [OptionDefined]
    public SingularTriplets Triplets { get; init; }

    /// <summary>The first triplet of <see cref="SingularTriplets.Slice"/>, from 0. Default null.</summary>
    public int? SliceStart { get; init; }

    /// <summary>
    /// After each step U and V become orthonormal again, exactly; see <see cref="SorsaAdapters.AfterStep"/>. Default false.
    /// </summary>
    public bool HardOrthonormality { get; init; }

    /// <summary>
    /// The modules to adapt, by the last part of their names, such as "fc1". Default null: every module with a matrix called weight,
    /// except embeddings.
    /// </summary>
    public IReadOnlyList<string>? TargetModules { get; init; }

    /// <summary>Decides the start of the adapters. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>Checks everything, and hands the values on.</summary>
    /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
    internal (MethodDescriptor Method, MethodSettings Settings) ToSettings()
    {
        OptionRange.Verify(this);
        MethodDescriptor method = MethodCatalog.Get(Method);
        var settings = new MethodSettings
        {
            Rank = Rank,
            Alpha = Alpha,
            Gamma = Gamma,
            RegularizerReduction = RegularizerReduction,
            Triplets = Triplets,
            SliceStart = SliceStart,
            HardOrthonormality = HardOrthonormality,
        };
        method.Verify(settings);
        OptionRange.Fit(
            !method.IsOptimizer, nameof(Method), Method, "it is a way of updating weights, which your own optimizer does here",
            $"Use {FineTuningMethod.Partial} here, or FineTune");
        OptionRange.Fit(
            !method.TrainsEveryWeight(settings), nameof(Method), Method, "of a module only the targets can train", method.TargetsAlone);
        OptionRange.Fit(
            !method.NeedsTotalSteps, nameof(Method), Method, "it needs to know the number of steps",
            "Use another method here, or FineTune, which knows it");
        return (method, settings);
    }
}
