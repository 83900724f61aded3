using System.Globalization;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;
using static Microsoft.ML.Sorsa.Files.OptionRange;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>What a method is told. The trainer's Options say what each of them means, and check their ranges.</summary>
internal sealed record MethodSettings
{
    private const int DefaultRank = 16;

    public FineTuningMethod Method { get; init; }

    public int? Rank { get; init; }

    public double? Alpha { get; init; }

    public double Dropout { get; init; }

    public double? Gamma { get; init; }

    public RegularizerReduction RegularizerReduction { get; init; }

    public SingularTriplets Triplets { get; init; }

    public int? SliceStart { get; init; }

    public bool HardOrthonormality { get; init; }

    public RankBudget? RankBudget { get; init; }

    public BaseQuantization Quantization { get; init; }

    public int QuantizationRounds { get; init; } = 1;

    /// <summary>r.</summary>
    public int RankOrDefault => Rank ?? DefaultRank;

    /// <summary>What the smaller side of every target must be at least; null where the method has no rank.</summary>
    public int? LargestRank => !Has(nameof(Rank)) ? null : Triplets == SingularTriplets.Slice ? RankOrDefault + SliceStart : RankOrDefault;

    public static ArgumentException DoesNotBelong(string name, object? value, FineTuningMethod method) => new(
        string.Create(CultureInfo.InvariantCulture, $"{name} is {value}; it does not belong to Method {method}. Leave it at its default, or choose a method that has it."), name);

    /// <summary>Refuses what does not belong to the method, and what of it does not fit together.</summary>
    /// <exception cref="ArgumentException">Names the option, its value, the limit and the remedy.</exception>
    public void Verify()
    {
        VerifyDefined(Method, nameof(Method));
        (string Name, object? Value, bool IsSet)[] options =
        [
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
            (nameof(QuantizationRounds), QuantizationRounds, QuantizationRounds != 1),
        ];
        foreach ((string name, object? value, bool isSet) in options)
        {
            if (isSet && !Has(name))
            {
                throw DoesNotBelong(name, value, Method);
            }
        }

        VerifyTriplets();
        VerifyBudget(RankBudget ?? new RankBudget());
    }

    /// <summary>Refuses what an adapter of a model object cannot have: it computes with the adapted weight itself.</summary>
    public void VerifyForModule(string remedy)
    {
        Fit(Method != FineTuningMethod.Full, nameof(Method), Method, "of a model object only the targets can train",
            $"Use {FineTuningMethod.Partial} with TargetModules, or fine-tune from a model folder");
        Fit(Dropout == 0, nameof(Dropout), Dropout, "a model object computes with the adapted weight itself, so that an adapter has no input of its own", remedy);
        Fit(Quantization == BaseQuantization.None, nameof(Quantization), Quantization, "a model object computes with its own weights", remedy);
    }

    /// <summary>Whether the method has an option.</summary>
    public bool Has(string name)
    {
        bool sorsa = Method == FineTuningMethod.Sorsa, adaLora = Method == FineTuningMethod.AdaLora;
        return name switch
        {
            nameof(Rank) or nameof(Alpha) or nameof(Dropout) or nameof(Quantization) => Method is not (FineTuningMethod.Full or FineTuningMethod.Partial),
            nameof(Gamma) => sorsa || adaLora,
            nameof(RegularizerReduction) or nameof(Triplets) or nameof(SliceStart) or nameof(HardOrthonormality) => sorsa,
            nameof(RankBudget) => adaLora,
            nameof(QuantizationRounds) => sorsa || Method == FineTuningMethod.Pissa,
            "TargetModules" => Method != FineTuningMethod.Full,
            _ => true,
        };
    }

    /// <summary>Whether an option of the method's does anything beside what else is set; where it does not, it must be left at its default.</summary>
    public bool HasEffect(string name) => name switch
    {
        nameof(SliceStart) => Triplets == SingularTriplets.Slice,
        nameof(Gamma) or nameof(RegularizerReduction) => !HardOrthonormality || Method != FineTuningMethod.Sorsa,
        nameof(QuantizationRounds) => Quantization != BaseQuantization.None && Triplets == SingularTriplets.Leading,
        _ => true,
    };

    /// <summary>The method that the settings describe.</summary>
    /// <param name="totalSteps">The steps of the run.</param>
    /// <param name="start">Where the adapters' start draws from; on the CPU.</param>
    /// <param name="decomposition">Where the leading singular triplets come from.</param>
    /// <param name="dropout">Where dropout draws from; on the model's device.</param>
    /// <exception cref="ArgumentException">AdaLoRA's budget does not fit the steps.</exception>
    public AdapterMethod Create(int totalSteps, Generator start, Decomposition decomposition, Generator dropout)
    {
        int rank = RankOrDefault;
        double scale = Alpha / rank ?? 1;
        bool quantized = Quantization == BaseQuantization.NF4;
        switch (Method)
        {
            case FineTuningMethod.Lora:
            case FineTuningMethod.RsLora:
            case FineTuningMethod.Dora:
                return new LoraMethod
                {
                    Rank = rank,
                    Scale = Method == FineTuningMethod.RsLora ? (Alpha ?? rank) / Math.Sqrt(rank) : scale,
                    IsRankStabilized = Method == FineTuningMethod.RsLora,
                    HasMagnitude = Method == FineTuningMethod.Dora,
                    Initialization = start,
                    Dropout = Dropout,
                    Quantized = quantized,
                    DropoutGenerator = dropout,
                };

            case FineTuningMethod.Pissa:
                return new PissaMethod
                {
                    Rank = rank,
                    Scale = scale,
                    QuantizationRounds = QuantizationRounds,
                    Decomposition = decomposition,
                    Dropout = Dropout,
                    Quantized = quantized,
                    DropoutGenerator = dropout,
                };

            case FineTuningMethod.AdaLora:
                RankBudget budget = RankBudget ?? new RankBudget();
                budget.VerifySteps(totalSteps);
                return new AdaLoraMethod
                {
                    Rank = rank,
                    Alpha = Alpha ?? rank,
                    Gamma = Gamma ?? 0.5,
                    Budget = budget,
                    TotalSteps = totalSteps,
                    Initialization = start,
                    Dropout = Dropout,
                    Quantized = quantized,
                    DropoutGenerator = dropout,
                };

            case FineTuningMethod.Full:
            case FineTuningMethod.Partial:
                return new WeightMethod { Everything = Method == FineTuningMethod.Full };

            default:
                return new SorsaMethod
                {
                    Rank = rank,
                    Scale = scale,
                    Gamma = Gamma ?? (HardOrthonormality ? 0 : 4e-4),
                    RegularizerMean = RegularizerReduction == RegularizerReduction.Mean,
                    FirstTriplet = Triplets switch { SingularTriplets.Leading => 0, SingularTriplets.Slice => SliceStart, _ => null },
                    HardOrthonormality = HardOrthonormality,
                    QuantizationRounds = QuantizationRounds,
                    Decomposition = decomposition,
                    Dropout = Dropout,
                    Quantized = quantized,
                    DropoutGenerator = dropout,
                };
        }
    }

    private void VerifyTriplets()
    {
        Fit(Triplets == SingularTriplets.Slice || SliceStart is null, nameof(SliceStart), SliceStart, $"{nameof(Triplets)} is {Triplets}",
            $"Set {nameof(Triplets)} to {SingularTriplets.Slice}, or leave {nameof(SliceStart)} null");
        Fit(Triplets != SingularTriplets.Slice || SliceStart >= 0, nameof(SliceStart), SliceStart,
            $"{nameof(Triplets)} is {Triplets}, which needs a start of at least 0", $"Set {nameof(SliceStart)}");
        Fit(!HardOrthonormality || Gamma is null or 0, nameof(Gamma), Gamma, $"{nameof(HardOrthonormality)} leaves no deviation to penalise",
            $"Leave {nameof(Gamma)} null, or {nameof(HardOrthonormality)} false");
        Fit(Quantization != BaseQuantization.None || QuantizationRounds == 1, nameof(QuantizationRounds), QuantizationRounds,
            $"{nameof(Quantization)} is {Quantization}", $"Set {nameof(Quantization)} to {BaseQuantization.NF4}, or leave {nameof(QuantizationRounds)} at 1");
        Fit(Triplets == SingularTriplets.Leading || QuantizationRounds == 1, nameof(QuantizationRounds), QuantizationRounds,
            $"{nameof(Triplets)} is {Triplets}; only the leading triplets can make up for what quantising loses",
            $"Leave {nameof(QuantizationRounds)} at 1, or {nameof(Triplets)} at {SingularTriplets.Leading}");
    }

    private void VerifyBudget(RankBudget budget)
    {
        OptionRange.Verify(budget, $"{nameof(RankBudget)}.");
        if (budget.TargetRank is { } target && (target < 1 || target > RankOrDefault))
        {
            throw Error($"{nameof(RankBudget)}.{nameof(budget.TargetRank)}", budget.TargetRank, $"from 1 to {nameof(Rank)}, {RankOrDefault}", "Leave it null for half of Rank");
        }
    }
}
