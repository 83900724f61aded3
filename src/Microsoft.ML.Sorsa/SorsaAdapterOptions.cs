using Microsoft.ML.Sorsa.Adapters;

namespace Microsoft.ML.Sorsa;

/// <summary>What <see cref="SorsaAdapters.Attach"/> is told: as the trainer's options of the same names, with their ranges and errors.</summary>
public sealed record SorsaAdapterOptions
{
    /// <summary>What trains. Default <see cref="FineTuningMethod.Sorsa"/>; not Full, and not AdaLora, whose budget needs a number of steps.</summary>
    public FineTuningMethod Method { get; init; } = FineTuningMethod.Sorsa;

    /// <summary>r. Default null: 16; from 1 to the smaller side of the smallest target.</summary>
    public int? Rank { get; init; }

    /// <summary>Scales the trained part by Alpha / Rank, in rank-stabilised LoRA by Alpha / √Rank. Default null: as Rank; above 0.</summary>
    public double? Alpha { get; init; }

    /// <summary>γ, the weight of SORSA's penalty. Default null: 4e-4; at least 0.</summary>
    public double? Gamma { get; init; }

    /// <summary>How the penalty adds up over the matrices. Default <see cref="RegularizerReduction.Mean"/>.</summary>
    public RegularizerReduction RegularizerReduction { get; init; } = RegularizerReduction.Mean;

    /// <summary>The singular triplets that SORSA trains. Default <see cref="SingularTriplets.Leading"/>.</summary>
    public SingularTriplets Triplets { get; init; } = SingularTriplets.Leading;

    /// <summary>The first triplet of <see cref="SingularTriplets.Slice"/>, from 0. Default null.</summary>
    public int? SliceStart { get; init; }

    /// <summary>After each step U and V become orthonormal again, exactly; see <see cref="SorsaAdapters.AfterStep"/>. Default false.</summary>
    public bool HardOrthonormality { get; init; }

    /// <summary>The last parts of the names of the modules to adapt, such as "fc1". Default null: every module with a matrix called weight, but for embeddings.</summary>
    public IReadOnlyList<string>? TargetModules { get; init; }

    /// <summary>Decides the start of the adapters. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>The same as the trainer's options, which have the rules.</summary>
    internal SorsaFineTuningTrainer.Options ForTrainer()
    {
        var options = new SorsaFineTuningTrainer.Options
        {
            Method = Method,
            Rank = Rank,
            Alpha = Alpha,
            Gamma = Gamma,
            RegularizerReduction = RegularizerReduction,
            Triplets = Triplets,
            SliceStart = SliceStart,
            HardOrthonormality = HardOrthonormality,
            Seed = Seed,
        };
        options.ValidateForObject();
        return !MethodCatalog.Get(Method).NeedsTotalSteps ? options : throw new ArgumentException(
            $"{nameof(Method)} is {Method}, whose budget of triplets needs to know the number of steps. Use another method here, or FineTune, which knows it.", nameof(Method));
    }
}
