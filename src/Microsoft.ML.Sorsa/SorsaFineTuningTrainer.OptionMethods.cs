using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Decompositions;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa;

public sealed partial class SorsaFineTuningTrainer
{
    public sealed partial class Options
    {
        internal int RankOrDefault => ForMethod().RankOrDefault;

        /// <summary>The rank to compare with the targets; null where the method has none.</summary>
        internal int? VerifiedRank => MethodCatalog.Get(Method).RequiredRank(ForMethod());

        /// <summary>The method that the options describe.</summary>
        /// <param name="totalSteps">The steps of the run.</param>
        /// <param name="start">Where the adapters' start draws from; on the CPU.</param>
        /// <param name="decomposition">Where the leading singular triplets come from.</param>
        /// <param name="dropout">Where dropout draws from; on the model's device.</param>
        /// <exception cref="ArgumentException">AdaLoRA's budget does not fit the steps.</exception>
        internal AdapterMethod CreateMethod(int totalSteps, Generator start, Decomposition decomposition, Generator dropout) =>
            MethodCatalog.Get(Method).Create(ForMethod(), new MethodRun(totalSteps, start, decomposition, dropout));

        private MethodSettings ForMethod() => new()
        {
            Rank = Rank,
            Alpha = Alpha,
            Gamma = Gamma,
            Dropout = Dropout,
            RegularizerReduction = RegularizerReduction,
            Triplets = Triplets,
            SliceStart = SliceStart,
            HardOrthonormality = HardOrthonormality,
            RankBudget = RankBudget,
            Quantization = Quantization,
            QuantizationRounds = QuantizationRounds,
        };
    }
}
