using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa;

public sealed partial class SorsaFineTuningTrainer
{
    public sealed partial class Options
    {
        /// <summary>The rank where <see cref="Rank"/> is null.</summary>
        public const int DefaultRank = 16;

        internal int RankOrDefault => Rank ?? DefaultRank;

        /// <summary>The rank to compare with the targets; null where the method has none.</summary>
        internal int? VerifiedRank => Method is FineTuningMethod.Full or FineTuningMethod.Partial ? null
            : Triplets == SingularTriplets.Slice ? RankOrDefault + SliceStart
            : RankOrDefault;

        /// <summary>The method that the options describe.</summary>
        /// <param name="totalSteps">The steps of the run.</param>
        /// <param name="start">Where the adapters' start draws from; on the CPU.</param>
        /// <param name="decomposition">Where the leading singular triplets come from.</param>
        /// <param name="dropout">Where dropout draws from; on the model's device.</param>
        /// <exception cref="ArgumentException">AdaLoRA's budget does not fit the steps.</exception>
        internal AdapterMethod CreateMethod(int totalSteps, Generator start, Decomposition decomposition, Generator dropout)
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
                    RequireSteps(budget, totalSteps);
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

        private static void RequireSteps(RankBudget budget, int totalSteps)
        {
            if (budget.WarmupSteps + budget.FinalSteps >= totalSteps)
            {
                throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                    $"RankBudget.WarmupSteps is {budget.WarmupSteps} and RankBudget.FinalSteps {budget.FinalSteps}; together they must be below the {totalSteps} steps of this run, so that there is time to prune. Lower them, or train for more steps."), nameof(budget));
            }
        }
    }
}
